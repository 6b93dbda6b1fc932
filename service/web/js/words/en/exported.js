/** A page that was exported, and one in a frame. */

export default {
  "exported.missing": "This page was exported, and has no answer to that: it needs a service. The lesson plan says how to start one of your own.",
  "exported.own": "Lesson plan",
  "exported.questions": "Choose one of the exported questions …",
  "exported.checked": "An export: the vectors are the service’s, the weights this browser’s. What the service said of this question at T = {T} differs by {difference} at most.",
  "exported.needs": "{name} (needs a service)",
};
