// Reads an event with the CloudEvents library, carries it in HTTP's binary form and back.
import { readFileSync } from "node:fs";
import { HTTP } from "cloudevents";

const body = readFileSync(process.argv[2], "utf8");
const event = HTTP.toEvent({ headers: { "content-type": "application/cloudevents+json" }, body });
event.validate();
const back = HTTP.toEvent(HTTP.binary(event));
console.log(JSON.stringify({ id: event.id, title: event.data.title, sequence: back.sequence, kind: typeof back.sequence }));
