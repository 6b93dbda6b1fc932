/** 六种相似度的场景：名字，以及开场的问题。 */

export default {
  "scene.scores.name": "六种相似度",
  "scene.scores.title": "六种规则，六种“近”",
  "scene.scores.lede": "什么叫“近”，是一种选择。一个[query|查询]、六个[key|键]，加上服务具有的每一种相似度：得分交给同一个 softmax，胜出的[key|键]却可能不同。选一格，看它的 α。",
  "predict.scores.ask": "一个查询，六个键，六种相似度。各种相似度里权重最大的键，一共有几个不同的？",
  "predict.scores.one": "一个：最近的就是最近的",
  "predict.scores.two": "两个",
  "predict.scores.several": "三到五个",
  "predict.scores.six": "六个：每种相似度各有一个",
  "predict.scores.because": "按点积胜出的是“{dot}”，按余弦是“{cosine}”，按距离是“{gaussian}”，按双线性是“{bilinear}”，按加性网络是“{additive}”；点积缩放之后次序不变。",
};
