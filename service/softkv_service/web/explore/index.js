/**
 * The explorer at `/explore`: the collections of this service, to ask, to browse and to change.
 *
 * `explorer.js` holds it together. A tab is a module: its words, whether it needs a key that writes, and how it is
 * mounted; the type is in `explorer.js`. `address.js` has what the address says after its #. `document.js` is the pane
 * at the right. In an exported page it asks the demo collections and rows of the reader, which `exported/` answers.
 */

import { exportedShelf } from "../shared/exported.js";
import { ask } from "./ask.js";
import { calibrate } from "./calibrate.js";
import { create, settings } from "./collection.js";
import { panel } from "./document.js";
import { documents } from "./documents.js";
import { Explorer } from "./explorer.js";
import { ownRows } from "./own-rows.js";
import { service } from "./service.js";
import { add, upload } from "./upload.js";

void exportedShelf().then((shelf) => {
  const tabs = shelf
    ? [ask, add, /** @type {const} */ ({ ...settings, needs: "read", of: "own" }), ownRows(shelf)]
    : [ask, documents, upload, calibrate, settings, create, service];
  void new Explorer(tabs, panel, shelf).begin();
});
