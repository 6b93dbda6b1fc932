/**
 * The page at `/`: a story in eight chapters.
 *
 * `story.js` holds it together; `threads.js` of `service/softkv_service/web/shared` draws its picture; `chapters/` has a module and the words of each chapter.
 * `answers.js` knows similarities: recorded ones for what the story asks, the service's for what a reader asks.
 * esbuild bundles all of it into `built/story.js`, which the service and an exported page both send.
 */

import { hard } from "./chapters/hard.js";
import { inside } from "./chapters/inside.js";
import { learns } from "./chapters/learns.js";
import { none } from "./chapters/none.js";
import { numbers } from "./chapters/numbers.js";
import { share } from "./chapters/share.js";
import { value } from "./chapters/value.js";
import { word } from "./chapters/word.js";
import { exportedPage } from "../../../../service/softkv_service/web/shared/exported.js";
import { Story } from "./story.js";

void exportedPage().then((exported) => new Story([hard, value, share, none, numbers, inside, learns, word], exported).begin());
