import numpy as np
import pytest

from lilliput.search.space import DEFAULT_SPACE, PAPER_SPACE, Architecture, Architectures, SearchSpace

SMALL = SearchSpace((1, 2), (32, 48, 64), (1, 2, 3), (64, 128), (1000, 2000, 3000), head_widths=(16, 32))


def every_point(space):
    """All points of a space, by nested loops."""
    return {
        Architecture(layers, hidden, heads, intermediate, vocabulary)
        for layers in space.layers
        for hidden in space.hidden
        for heads in space.heads
        for intermediate in space.intermediate
        for vocabulary in space.vocabulary
        if hidden % heads == 0 and (not space.head_widths or hidden // heads in space.head_widths)
    }


def test_paper_space_has_the_size_of_the_released_search():
    assert len(PAPER_SPACE) == 12 * 48 * 4 * 95 * 50 == 10_944_000


def test_meshes_hold_every_point_exactly_once():
    points = [mesh.at(index) for mesh in SMALL.meshes() for index in range(int(np.prod(mesh.shape)))]
    assert len(points) == len(SMALL)
    assert set(points) == every_point(SMALL)


def test_membership_depends_on_values_and_head_widths():
    assert Architecture(1, 32, 1, 64, 1000) in SMALL
    assert Architecture(1, 48, 3, 128, 3000) in SMALL
    assert Architecture(3, 32, 1, 64, 1000) not in SMALL
    assert Architecture(1, 48, 1, 64, 1000) not in SMALL, "a head of 48 is not allowed"
    assert Architecture(1, 64, 3, 64, 1000) not in SMALL, "3 does not divide 64"
    assert Architecture(12, 96, 8, 64, 1000) in PAPER_SPACE


def test_every_hidden_size_of_the_default_space_has_heads():
    mesh = DEFAULT_SPACE.mesh(1)
    assert set(mesh.hidden.ravel().tolist()) == set(DEFAULT_SPACE.hidden)
    assert set((mesh.hidden // mesh.heads).ravel().tolist()) == set(DEFAULT_SPACE.head_widths)


def test_feed_forward_width_is_bounded():
    assert Architecture(1, 64, 1, 256, 1000) in DEFAULT_SPACE
    assert Architecture(1, 64, 1, 320, 1000) not in DEFAULT_SPACE


def test_arrays_of_architectures_keep_their_order():
    points = [Architecture(2, 64, 2, 128, 3000), Architecture(1, 32, 1, 64, 1000)]
    arrays = Architectures.of(points)
    assert arrays.shape == (2,)
    assert [arrays.at(0), arrays.at(1)] == points


@pytest.mark.parametrize("index", [0, 7, -1])
def test_mesh_broadcasts_to_its_shape(index):
    mesh = SMALL.mesh(2)
    flat = range(int(np.prod(mesh.shape)))[index]
    point = mesh.at(flat)
    assert point.vocabulary == np.broadcast_to(mesh.vocabulary, mesh.shape).flat[flat]
    assert point.layers == 2
