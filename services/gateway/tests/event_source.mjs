// A standard EventSource (WHATWG, by npm `eventsource`) that says as JSON lines what happens to it, until its input ends.
import { EventSource } from 'eventsource'

const [url, credential, ...types] = process.argv.slice(2)
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const source = new EventSource(url, {
  fetch: (target, init) => fetch(target, { ...init, headers: { ...init.headers, Authorization: 'Bearer ' + credential } }),
})
source.onopen = () => say({ kind: 'open' })
source.onerror = (error) => say({ kind: 'error', status: error.code ?? 0, ended: source.readyState === source.CLOSED })
for (const type of types) {
  source.addEventListener(type, (event) => say({ kind: type, id: event.lastEventId, data: JSON.parse(event.data) }))
}
process.stdin.resume()
process.stdin.on('end', () => source.close())
