from graphseq.data import leave_one_out
from graphseq.data.synthetic import communities
from graphseq.graphs import build_graph
from graphseq.recommend.histories import known_sequences


def test_known_sequences_are_the_whole_log() -> None:
    log = communities(num_users=60, num_items=60, num_communities=4, seed=0)
    log = log.sorted_by_id()  # as the split numbers them
    known = known_sequences(build_graph(leave_one_out(log)))
    assert known.items.tolist() == log.item.tolist()
    assert known.rows.tolist() == log.user.tolist()
