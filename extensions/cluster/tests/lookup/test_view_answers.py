"""The tests of answers from views, run again with views whose rows other processes hold."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from extensions.cluster.tests.lookup.hosts import afar
from softkv_attention.lookup import KeySummary
from softkv_cluster.lookup import of_bytes, to_bytes
from tests.attention.lookup.test_answer import (  # noqa: F401
    test_the_rows_that_share_the_weight_do_not_depend_on_the_matches,
)
from tests.attention.lookup.test_exact_similarities import (  # noqa: F401
    test_all_similarities_of_rows_that_pass,
    test_weights_of_all_documents_match_an_answer_that_lists_all,
)
from tests.attention.lookup.test_question_lengths import (  # noqa: F401
    test_a_power_of_two_changes_no_bit_of_an_answer_under_cosine,
)


@pytest.fixture(params=[True, False], ids=["sampled", "asked"])
def as_one(request):
    """Return a function that returns several views as one, whose rows others hold."""
    return partial(afar, sampled=request.param)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_a_summary_is_the_same_when_it_was_sent(similarity):
    sent = KeySummary.of(similarity, np.random.default_rng(1).standard_normal((500, 12)).astype(np.float32))
    result = KeySummary.of_message(*of_bytes(to_bytes(*sent.message())))
    assert sent.message()[0] == result.message()[0]
    np.testing.assert_array_equal(sent.total, result.total)
    np.testing.assert_array_equal(sent.gram.astype(np.float32), result.gram)
