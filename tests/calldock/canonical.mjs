// Reads a JSON array of texts from standard input and writes, for each, JSON.stringify(JSON.parse(text)), or null
// where node refuses the text.
import { readFileSync } from "node:fs";

const rendered = (text) => {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return null;
  }
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(rendered)));
