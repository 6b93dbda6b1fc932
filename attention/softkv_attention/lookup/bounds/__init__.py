"""Bounds on the distance of an answer from the exact one, each with its proof.

Let x be the true logits, x̂ = x + ε the computed ones, w = softmax(x) and ŵ = softmax(x̂), so ŵ_i ∝ w_i·exp(ε_i). The
total variation TV is ½·Σ|w − ŵ|, and E is the mean under ŵ. u is 2⁻⁵³. Every bound on weights rests on two lemmas.

**Lemma 1.** If all |ε_i| ≤ ε, then TV ≤ tanh(ε/2). For TV is ŵ(A) − w(A) for the set A of keys whose weight grows. It
is largest if each key of A has the error +ε and each other key −ε. Then the odds of A are multiplied by exp(2ε). With
y, the logarithm of these odds, and the logistic function σ, TV is σ(y + 2ε) − σ(y). This is largest at y = −ε, where it
is σ(ε) − σ(−ε) = tanh(ε/2). So the bound is reached, and no better one follows from the largest error alone.

**Lemma 2.** Let Y_i = exp(−ε_i). Then TV ≤ E|Y − 1| / E[Y]. For w_i = ŵ_i·Y_i/E[Y], so 2·TV = E|Y − E[Y]| / E[Y]. And
E|Y − E[Y]| ≤ E|Y − 1| + |1 − E[Y]| ≤ 2·E|Y − 1|. It weighs each error by the weight of its row, so large errors of rows
without weight do no harm.

Every similarity of an exact answer is computed in float64: `similarity_slack` bounds its error, `bound_rounding` and
`bound_separated` that of the weights. A scan reads 8-bit codes: `QuantisationError` has two bounds on what they leave
out, for any one row and for all together, of which `bound_tail` makes one of the weights. A bias is given and not
computed. So a logit with a bias has the error of s/T and one more rounding, and all of this holds for it.
"""
