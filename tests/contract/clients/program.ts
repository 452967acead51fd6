// What a user of the generated types writes: minimal bodies, a refusal as a value, a batch.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string> };

type Answer = components["schemas"]["Outcome"] | components["schemas"]["Problem"];

const client = createClient<paths>({
  baseUrl: process.env["URL"] ?? "",
  headers: { Authorization: `Bearer ${process.env["TOKEN"]}` },
});
const path = { workspace_id: "acme" };

const made = await client.POST("/v1/workspaces/{workspace_id}/tasks", {
  params: { path, header: { "Idempotency-Key": "from-ts" } },
  body: { project_id: "core", title: "From TypeScript" },
});
const target = made.data && "target" in made.data ? (made.data.target ?? "") : "";
const task = await client.GET("/v1/workspaces/{workspace_id}/tasks/{id}", {
  params: { path: { ...path, id: target }, query: { after_seq: Number(made.response.headers.get("Mp-Position")?.split(":")[1]) } },
});
const refused = await client.POST("/v1/workspaces/{workspace_id}/tasks", {
  params: { path },
  body: { project_id: "nowhere", title: "x" },
});
const batch = await client.POST("/v1/workspaces/{workspace_id}/commands:batch", {
  params: { path },
  body: [
    { type: "task.mark_ready", target },
    { type: "task.mark_ready", target: "none" },
  ],
});
const answers: Answer[] = batch.data instanceof Array ? batch.data : [];
console.log(
  JSON.stringify({
    title: task.data?.title,
    priority: task.data?.priority,
    refused: refused.error?.code,
    batch: answers.map((each) => ("code" in each && each.code ? each.code : each.status)),
  }),
);
