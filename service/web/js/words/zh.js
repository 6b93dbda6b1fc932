/** 中文。 */

import page from "./zh/page.js";
import predictions from "./zh/predictions.js";
import scenes from "./zh/scenes.js";
import values from "./zh/values.js";
import views from "./zh/views.js";

export default { ...page, ...predictions, ...scenes, ...values, ...views };
