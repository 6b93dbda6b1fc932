/** English. */

import exported from "./en/exported.js";
import page from "./en/page.js";
import predictions from "./en/predictions.js";
import scenes from "./en/scenes.js";
import values from "./en/values.js";
import views from "./en/views.js";

export default { ...exported, ...page, ...predictions, ...scenes, ...values, ...views };
