/** 键的地图。 */

export default {
  "scene.space.title": "键的地图",
  "scene.space.lede": "每个[key|键]是高维空间中的一个点；这里把它投到所有键差别最大的那个平面上。拖动[query|查询]：向服务提问用的就是平面上那一点的向量，圆点的大小就是[weight|权重]。",
  "space.question": "查询：文本落在它的向量所在之处",
  "space.axis": "方向 {i}",
  "space.label": "{count} 个键的地图。查询在 {a}, {b}。用方向键移动。",
  "space.how": "圆环：若有一个键就在这个平面上，它的权重是位于查询处的键的二分之一、十分之一、百分之一。温度就是圆环的大小。可以拖动，也可以选中图片后用方向键。",
  "space.words": "这一点的向量给“{key}” {weight}，相似度 {similarity}。地图上离它最近的是“{near}”，得到 {share}。",
  "space.left": "这个平面保留了 {share} 的方差；其余 {rest} 在没有画出的 {dimensions} 个方向里。所以地图上近，不等于空间中近：圆环里的小圆点，在别的方向上离得很远。问题本身的向量与它在平面上的落点，余弦为 {keeps}。",
  "space.ends": "方向 1 从“{left}”到“{right}”，方向 2 从“{low}”到“{high}”：主成分，由这个浏览器根据服务存储的向量算出。",
  "predict.space.ask": "每个键有几百个数。平面只有两个方向，而且是最好的两个。键与键的差别（方差）有多少能在平面上看到？",
  "predict.space.all": "几乎全部",
  "predict.space.half": "大约一半",
  "predict.space.part": "三十分之一到三分之一",
  "predict.space.hardly": "不到三十分之一",
  "predict.space.because": "{dimensions} 个方向中的前两个，保留了这 {keys} 个键 {share} 的方差。",
};
