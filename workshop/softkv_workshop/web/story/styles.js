/** Styles that a scene alone needs, so that the first answer need not wait for them. */

import { asset } from "../../../../service/softkv_service/web/shared/assets.js";
import { h } from "../../../../service/softkv_service/web/shared/element.js";

/** A scene's sheet, css/<name>.css, is there before its view is drawn; a view that comes without it is drawn all the same. @param {string} [name] */
export async function styled(name) {
  if (!name || document.querySelector(`#css-${name}`)) return;
  const sheet = h("link", { id: `css-${name}`, rel: "stylesheet", href: asset(`css/${name}.css`) });
  await new Promise((done) => {
    sheet.onload = done;
    sheet.onerror = done;
    document.head.append(sheet);
  });
}
