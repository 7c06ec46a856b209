"""The OpenVINO engine, configured in one place."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from lilliput.errors import ArtifactError, refuse_absurd, require_whole
from lilliput.kernels.library import Library
from lilliput.runtime.overflow import right_products, rounds_inputs
from lilliput.runtime.pages import release_mapped, trim

SETTINGS: Mapping[str, Any] = {
    "PERFORMANCE_HINT": "LATENCY",
    "ENABLE_CPU_PINNING": False,
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # activations are quantized by the graph, or not at all
    "INFERENCE_PRECISION_HINT": "f32",  # the default, bfloat16 where available, has 3 digits
}
"""Properties of the CPU plugin for every graph."""

ELSEWHERE = b"location"
"""Key that names the file of external data in ONNX (``TensorProto.external_data``); lilliput's graphs have none."""


class Engine:
    """One compiled graph.

    Args:
        model: an OpenVINO model.
        threads: processor threads; ``None`` leaves the choice to the engine.
        options: further properties of the CPU plugin, which override the defaults.
        mapped: the file of its weights, if the model has it memory-mapped.
        library: the model's own instance of the kernels that its operations call; ``None``: it has no such operations.
    """

    def __init__(
        self,
        model: ov.Model,
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        mapped: Path | None = None,
        library: Library | None = None,
    ) -> None:
        self.mapped, self.library = mapped, library
        self._turn = threading.Lock()
        properties = settings_for(rounds_inputs(model))
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = threads
        self.compiled = ov.Core().compile_model(model, "CPU", {**properties, **(options or {})})
        self.request = self.compiled.create_infer_request()
        # With one thread, OpenVINO 2026.4.1's "infer" does not report running out of memory, and leaves the outputs of
        # the previous run. An asynchronous run that is waited for does report it, and costs 30 microseconds.
        self._mute = properties.get("INFERENCE_NUM_THREADS") == 1

    def __call__(self, *inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Run once; the arrays returned are the caller's to keep. Threads wait for each other."""
        with self._turn:
            self.infer(list(inputs))
            return [np.array(self.request.get_output_tensor(i).data) for i in range(len(self.compiled.outputs))]

    def infer(self, inputs: Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]) -> None:
        """Run once; outputs stay in the request and are not copied: a token's logits are half a megabyte.

        Raises:
            MemoryError: there is not enough memory.
            RuntimeError: the engine or one of lilliput's own operations fails.
        """
        try:
            try:
                if self._mute and inputs:  # inputs bound to the request are a single token: hardly any memory
                    self.request.start_async(inputs, share_inputs=True)
                    self.request.wait()
                else:
                    self.request.infer(inputs, share_inputs=True, share_outputs=True)
            finally:  # also if the engine raises, since the recorded failure belongs to this run
                if self.library is not None:
                    self.library.raise_failure()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise MemoryError(last_line(error)) from error
            raise

    def restart(self) -> None:
        """Reset the state, if the engine keeps one.

        This makes a new request, because OpenVINO 2026.4.1 misreads 8-bit caches when more sequences than before
        outgrow them: ``reset_state`` alone leads to NaN, or silently to wrong text.
        """
        if self.request.query_state():
            del self.request  # to free its memory first
            self.request = self.compiled.create_infer_request()

    def release(self) -> None:
        """Give freed memory and the resident pages of the weights file back to the system.

        Activations stay allocated for the next run. OpenVINO 2026.4.1 can free them (``release_memory``), but then
        reallocates only those whose shape changes: a second prompt of equal length used freed memory and crashed.
        """
        trim()
        self.release_weights()

    def release_weights(self) -> None:
        """Give back the resident pages of the weights file; every token reads a row of the embedding."""
        if self.mapped is not None:
            release_mapped(self.mapped)

    def executed_precisions(self) -> dict[str, str]:
        """Matrix product's name -> the precision of its inputs (``i8``, ``bf16``, ``f32``); for a product of floating
        point with weights stored as integers, the precision of the weights."""
        return {name: _text(info["runtimePrecision"]) for name, info in self._products()}

    def integer_products(self) -> dict[str, bool]:
        """Matrix product's name -> whether its kernel multiplies integers that the graph gives it. The engine does not
        report what it rounds itself (dynamic quantization)."""
        return {name: _text(info["primitiveType"]).lower().endswith("i8") for name, info in self._products()}

    def _products(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for node in self.compiled.get_runtime_model().get_ordered_ops():
            info = node.get_rt_info()
            if _text(info["layerType"]) in ("FullyConnected", "MatMul"):
                yield node.get_friendly_name(), info


def settings_for(rounds: bool) -> dict[str, Any]:
    """Properties for a graph on this processor; ``rounds``: whether the graph rounds inputs to calibrated ranges."""
    return {**SETTINGS, **(right_products() if rounds else {})}


@functools.cache
def default_threads() -> int:
    """Number of processor threads that the engine chooses by default."""
    place = ov.opset13.parameter([1], ov.Type.f32)
    model = ov.Model([ov.opset13.relu(place)], [place], "nothing")
    compiled = ov.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return max(1, int(compiled.get_property("INFERENCE_NUM_THREADS")))


def read_graph(source: Path | bytes) -> ov.Model:
    """Read an ONNX graph as an OpenVINO model, not yet compiled.

    Raises:
        ArtifactError: the file is not such a graph.
    """
    if isinstance(source, bytes):
        return ov.Core().read_model(source)
    content = source.read_bytes()  # given a path, the engine would also read other, unverified files
    if ELSEWHERE in content:
        raise ArtifactError(
            "keeps weights in other files, which are not verified.", where=source, remedy="Get the artifact again."
        )
    try:
        return ov.Core().read_model(content)
    except Exception as error:  # the engine raises RuntimeError, and others with some versions
        raise ArtifactError(
            f"is not a graph that OpenVINO can read ({last_line(error)}).",
            where=source,
            remedy="Get the artifact again.",
        ) from error


def last_line(error: Exception) -> str:
    """The last line of an engine error, which gives the reason."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


_NO_MEMORY = ("bad_alloc", "Failed to allocate")
"""Text in the engine's errors when it runs out of memory."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error means out of memory: the engine's errors by their text, those of prompts by their cause."""
    told = isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)
    return told or any(words in str(error) for words in _NO_MEMORY)


def only_outputs(model: ov.Model, names: Sequence[str]) -> ov.Model:
    """A model that computes only the named outputs, which do not depend on the input ``pairs``."""
    clone = model.clone()
    inputs = [value.get_node() for value in clone.inputs if "pairs" not in value.get_names()]
    return ov.Model([clone.output(name) for name in names], inputs, "encoder")


def from_vectors(model: ov.Model, cuts: Sequence[str]) -> ov.Model:
    """The head alone: float inputs ``[examples, hidden]`` replace the values named ``cuts``; the output is logits."""
    clone = model.clone()
    inputs = []
    for name in cuts:
        value = next(out for node in clone.get_ops() for out in node.outputs() if name in out.get_names())
        parameter = ov.opset13.parameter([-1, value.get_partial_shape()[-1].get_length()], ov.Type.f32, name=name)
        for consumer in list(value.get_target_inputs()):
            if consumer.get_node().get_type_name() != "Result":
                consumer.replace_source_output(parameter.output(0))
        inputs.append(parameter)
    return ov.Model([clone.output("logits")], inputs, "head")


def _text(value: Any) -> str:
    return value.astype(str) if hasattr(value, "astype") else str(value)


def require_threads(threads: int | None) -> None:
    """Reject an invalid number of threads.

    Raises:
        UserError: ``threads`` is neither ``None`` nor an integer from 1 to the largest allowed
            (:data:`~lilliput.constants.MOST`).
    """
    if threads is not None:
        refuse_absurd({"threads": require_whole(threads, 1, "threads")})
