// Reads an AsyncAPI document as its own tools do, and tells what is wrong with it.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const errors = diagnostics.filter((each) => each.severity === 0).map((each) => `${each.path.join("/")}: ${each.message}`);
console.log(JSON.stringify({ parsed: document !== undefined, errors }));
