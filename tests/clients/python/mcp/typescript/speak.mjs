// The official client in TypeScript: what it hears from /mcp, as a line of JSON. It holds results against their schemas.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [way, mode, target, collection] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
const words = JSON.parse(target);
await client.connect(
  way === "http"
    ? new StreamableHTTPClientTransport(new URL(words.url))
    : new StdioClientTransport({ command: words.command, args: words.args, env: process.env }),
);
const call = async (name, given) => {
  const { isError, structuredContent, content } = await client.callTool({ name, arguments: { collection, ...given } });
  return isError ? content[0].text : structuredContent;
};
const uri = `softkv://collections/${collection}/documents/dune`;
console.log(
  JSON.stringify({
    version: client.getNegotiatedProtocolVersion(),
    tools: (await client.listTools()).tools.map((tool) => tool.name),
    known: await call("ask", { question: "pets that purr" }),
    unknown: await call("ask", { question: "flurb zindle quax" }),
    page: await call("find", { limit: 1 }),
    compared: await call("compare", { question: "cats" }),
    refused: await call("ask", { question: "cats", top_k: 0 }),
    document: JSON.parse((await client.readResource({ uri })).contents[0].text),
    prompts: (await client.listPrompts()).prompts.map((prompt) => prompt.name),
  }),
);
await client.close();
