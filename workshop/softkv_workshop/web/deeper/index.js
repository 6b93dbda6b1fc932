/**
 * The page at `/deeper`: pictures of single ideas, grouped by the chapters of the story. Each picture is a chapter to the
 * story's frame (`story/story.js`), which shows one at a time.
 *
 * `contents.js` is the index; `pictures/` has a module and the words of each picture; `lab/` has what the two pictures
 * about training share. esbuild bundles all of it into `built/deeper.js`.
 */

import { exportedPage } from "../../../../service/softkv_service/web/shared/exported.js";
import { Story } from "../story/story.js";
import { contents } from "./contents.js";
import { certificate } from "./pictures/certificate.js";
import { four } from "./pictures/four.js";
import { networks } from "./pictures/networks.js";
import { regression } from "./pictures/regression.js";
import { similarities } from "./pictures/similarities.js";
import { zoom } from "./pictures/zoom.js";

const PICTURES = [four, regression, certificate, similarities, zoom, networks];

void exportedPage().then((exported) => new Story([contents(PICTURES), ...PICTURES], exported, true).begin());
