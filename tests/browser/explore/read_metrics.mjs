// The samples that the explorer reads from metrics on standard input, with numbers as texts: JSON has no infinity.
import { readFileSync } from "node:fs";

const { Metrics } = await import("../../../service/softkv_service/web/explore/metrics.js");
const { samples } = new Metrics(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(samples.map((sample) => ({ ...sample, value: String(sample.value).replace("Infinity", "inf") }))));
