/** 点与图案：核回归，以及图案的记忆。 */

export default {
  "scene.hopfield.title": "一次又一次做注意力：会修补的记忆",
  "scene.hopfield.lede": "[key|键]和[value|值]是同一批存好的图案。把[value|输出]当作下一次[query|查询]，带噪声的图案就落到最近的存储图案上。点击格子可以加噪声。",
  "scene.regression.title": "在点上做注意力，就是核回归",
  "scene.regression.lede": "[key|键]是 x，[value|值]是 y，相似度是 −距离²/2。任何[query|查询]处的输出是各点的加权平均：Nadaraya 与 Watson，1964 年。温度就是带宽的平方。",
  "predict.hopfield.ask": "一个带噪声的图案，五个存好的图案。做一次注意力，把输出再送回去：几步之后所有格子都对了？",
  "predict.hopfield.one": "一步",
  "predict.hopfield.few": "两到四步",
  "predict.hopfield.cells": "有几个错的格子就要几步",
  "predict.hopfield.never": "永远不会：五个图案混在一起",
  "predict.hopfield.because": "第一眼“{name}”就占了 {weight} 的权重；混合的是整幅图案，所以处处同时得到修补。每个格子的正负都对所用的步数：{steps}。",
  "predict.regression.ask": "十七个点，一条穿过它们的曲线。T → ∞ 时曲线变成什么样？",
  "predict.regression.through": "穿过每一个点",
  "predict.regression.slope": "拟合得最好的直线",
  "predict.regression.flat": "一条水平线",
  "predict.regression.zero": "降到 0",
  "predict.regression.because": "在 T → ∞ 时，不管问哪里，每个点一样重，所以输出处处是全体的平均 {mean}。",
};
