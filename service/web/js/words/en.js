/** English. */

import page from "./en/page.js";
import scenes from "./en/scenes.js";
import values from "./en/values.js";
import views from "./en/views.js";

export default { ...page, ...scenes, ...values, ...views };
