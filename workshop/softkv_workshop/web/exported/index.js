/** The answers of an exported page, as a script of its own: the page of a service does not load it. */

import { ExportedPage } from "./answers.js";
import { offer } from "./offer.js";
import { MOST_ROWS, Shelf } from "./shelf.js";

window.softkvExported = {
  page: () => new ExportedPage(),
  shelf() {
    const shelf = new Shelf();
    return { page: new ExportedPage(shelf.answer), mostRows: MOST_ROWS, kept: () => shelf.kept(), rows: (name) => shelf.rows(name), offer };
  },
};
