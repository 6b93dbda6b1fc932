/** 导出的页面，以及嵌在别处的页面。 */

export default {
  "exported.missing": "这是导出的页面，没有这个问题的答案：它需要一个运行中的服务。教案里写了怎样启动你自己的服务。",
  "exported.own": "教案",
  "exported.questions": "从导出的问题中选一个……",
  "exported.checked": "导出的页面：向量来自服务，权重由这个浏览器算出。服务在 T = {T} 时对这个问题的回答与此最多相差 {difference}。",
  "exported.needs": "{name}（需要服务）",
};
