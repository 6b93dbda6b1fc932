/** What answers in the service's place, as a script of its own: a service's page needs none of it. */

import { ExportedPage } from "./answers.js";

window.softkvExported = { ExportedPage };
