/**
 * The explorer at `/explore`: the collections of this service, to ask, to browse and to change.
 *
 * `explorer.js` holds it together. A tab is a module: its words, whether it needs a key that writes, and how it is
 * mounted; the type is in `explorer.js`. `address.js` has what the address says after its #. `document.js` is the pane
 * at the right.
 */

import { ask } from "./ask.js";
import { calibrate } from "./calibrate.js";
import { create, settings } from "./collection.js";
import { panel } from "./document.js";
import { documents } from "./documents.js";
import { Explorer } from "./explorer.js";
import { service } from "./service.js";
import { upload } from "./upload.js";

new Explorer([ask, documents, upload, calibrate, settings, create, service], panel).begin();
