/** The answers of an exported page, as a script of its own: the page of a service does not load it. */

import { ExportedPage } from "./answers.js";

window.softkvExported = { ExportedPage };
