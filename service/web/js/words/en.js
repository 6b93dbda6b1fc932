/** English. */

import page from "./en/page.js";
import scenes from "./en/scenes.js";
import views from "./en/views.js";

export default { ...page, ...scenes, ...views };
