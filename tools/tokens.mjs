// Count the tokens of scripts: node tokens.mjs PATH_OF_TYPESCRIPT, with a JSON list of paths on standard input.
// A token is a leaf of TypeScript's syntax tree. Comments are not in it, and JSDoc is left out.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { default: ts } = await import(pathToFileURL(process.argv[2]));

/** The number of tokens of a node of a file. */
function count(node, file) {
  if (ts.isJSDoc(node) || node.kind === ts.SyntaxKind.EndOfFileToken) return 0;
  const children = node.getChildren(file);
  if (children.length === 0) return node.getWidth(file) > 0 ? 1 : 0;
  return children.reduce((sum, child) => sum + count(child, file), 0);
}

const counts = JSON.parse(readFileSync(0, "utf8")).map((path) => {
  const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest);
  return count(file, file);
});
process.stdout.write(JSON.stringify(counts));
