{{- define "moduprompt.name" -}}
{{ printf "%s-%s" .root.Release.Name .part | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "moduprompt.selector" -}}
app.kubernetes.io/name: moduprompt
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "moduprompt.labels" -}}
{{ include "moduprompt.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "moduprompt.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end }}

{{- /* What every pod has: no root, no privileges, no token, nothing writable but /tmp. */ -}}
{{- define "moduprompt.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "moduprompt.container" -}}
image: {{ include "moduprompt.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "moduprompt.env" -}}
- {name: MP_NATS_URL, value: {{ required "nats.url is required" .Values.nats.url | quote }}}
- {name: MP_REDIS_URL, value: {{ required "redis.url is required" .Values.redis.url | quote }}}
- {name: MP_SHARD, value: {{ .Values.shard | quote }}}
- {name: MP_LOG_LEVEL, value: {{ .Values.log.level | quote }}}
- {name: MP_NODE, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{- end }}

{{- define "moduprompt.secretEnv" -}}
- {name: {{ .key }}, valueFrom: {secretKeyRef: {name: {{ .root.Values.existingSecret }}, key: {{ .key }}}}}
{{- end }}

{{- /* A DSN whose password stays in the secret: Kubernetes fills in $(NAME) from the variable before it. */ -}}
{{- define "moduprompt.dsn" -}}
{{- $host := required "postgresql.host is required" .root.Values.postgresql.host -}}
{{ include "moduprompt.secretEnv" (dict "root" .root "key" .password) }}
- name: {{ .name }}
  value: {{ printf "postgresql://%s:$(%s)@%s:%v/%s" .role .password $host .root.Values.postgresql.port .root.Values.postgresql.database | quote }}
{{- end }}

{{- /* Who a part is to NATS and Redis: the files of `mpd keys --dir`, of which it is given its own. */ -}}
{{- define "moduprompt.credentialsEnv" -}}
- {name: MP_NATS_NKEY_SEED_FILE, value: /credentials/nats.seed}
{{- if .redis }}
- {name: MP_REDIS_USER, value: {{ .part }}}
- {name: MP_REDIS_PASSWORD_FILE, value: /credentials/redis}
{{- end }}
{{- end }}

{{- /* The value at a path like "oidc.issuer", as a variable says it: a list with commas. */ -}}
{{- define "moduprompt.setting" -}}
{{- $value := .root.Values -}}
{{- range $step := splitList "." .path }}{{- $value = index $value $step }}{{- end -}}
{{- if kindIs "slice" $value }}{{ join "," $value | quote }}{{ else }}{{ toString $value | quote }}{{ end -}}
{{- end }}

{{- define "moduprompt.credentialsVolume" -}}
- name: credentials
  secret:
    secretName: {{ .root.Values.credentialsSecret }}
    defaultMode: 0440
    items:
      - {key: nats_{{ .part }}.seed, path: nats.seed}
      {{- if .redis }}
      - {key: redis_{{ .part }}, path: redis}
      {{- end }}
{{- end }}
