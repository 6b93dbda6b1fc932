/** 中文。 */

import exported from "./zh/exported.js";
import page from "./zh/page.js";
import predictions from "./zh/predictions.js";
import scenes from "./zh/scenes.js";
import values from "./zh/values.js";
import views from "./zh/views.js";

export default { ...exported, ...page, ...predictions, ...scenes, ...values, ...views };
