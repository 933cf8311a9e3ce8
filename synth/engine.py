"""The one door to vLLM: a loaded model that keeps requests in flight and gives each answer back as it finishes.

On a CPU a request with a seed stops the engine when its prompt is read in pieces ("CPU Generator does not use offset"), so
prompts are read whole there; and graphs are not compiled, which would cost more than they bring at this size. On CUDA vLLM's
own defaults stand but for the share of memory.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from catalog.errors import SetupError

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams

QUIET = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process: starts and ends faster, and a kill leaves nothing behind
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads cost a factor of three when a neighbour needs the core
}
READ_AT_ONCE = 2048
"""Prompt tokens in one step on a CPU, at least a whole prompt: more only delays the first answer."""

IMPOSSIBLE = -1000.0
"""The least log-probability that is told: JSON has no infinity."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. temperature 0 takes the likeliest; top_k 0, top_p 1 and min_p 0 leave all tokens in.

    `top_p` sorts the vocabulary at each step, which on a CPU costs a fifth of the time; `min_p` does the like without.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 64
    stop: tuple[str, ...] = ()


PLAIN = Sampling()


@dataclass(frozen=True)
class Call:
    """One thing asked of the engine. `scored` > 0: write nothing, score the last `scored` tokens of the prompt.

    `choices`: write nothing, say how likely each of these tokens is to come next.
    """

    id: int
    prompt: tuple[int, ...]
    sampling: Sampling
    seed: int
    scored: int = 0
    choices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What came of a call. finish: stop, length, scored, weighed or refused (then `refused` says why).

    logprob: sum of the natural log-probabilities of the scored tokens under the model itself (temperature 1).
    weights: natural log-probability of each of the choices, in their order, among all tokens.
    """

    id: int
    finish: str
    text: str = ""
    tokens: int = 0
    logprob: float | None = None
    refused: str | None = None
    weights: tuple[float, ...] = ()


def prepare(threads: int | None = None) -> int:
    """Set the environment that vLLM and OpenMP read when they are first imported; returns the threads to use.

    Call it before torch is imported. Threads default to the cores that this process may use.
    """
    cores = threads or len(os.sched_getaffinity(0))
    os.environ.update(QUIET, OMP_NUM_THREADS=str(cores))
    return cores


class Engine:
    """A model in memory. One at a time in a process: vLLM leaves torch.distributed and its threads behind.

    context: prompt and answer tokens at most, cut to what the model bears; in_flight: requests worked on together;
    memory: GiB for keys and values on a CPU, or the share of a GPU's memory. Raises SetupError when the model cannot be loaded.
    """

    def __init__(
        self, folder: str, *, context: int = 1024, in_flight: int | None = None, threads: int | None = None, memory: float | None = None
    ) -> None:
        cores = prepare(threads)
        try:
            with warnings.catch_warnings():  # of deprecations inside vLLM, which its users cannot mend
                warnings.simplefilter("ignore")
                import torch
                from vllm import EngineArgs, LLMEngine
                from vllm.exceptions import VLLMClientError
                from vllm.platforms import current_platform
        except ImportError as error:
            raise SetupError(f"vLLM cannot be imported ({error}); run `headrace doctor`") from None
        self.context = min(context, bears(folder))
        cpu = current_platform.is_cpu()
        self.in_flight = in_flight or (96 if cpu else 256)
        if cpu:
            torch.set_num_threads(cores)
            os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(round(memory or room(folder, self.context, self.in_flight)))
        own = _on_cpu(self.context) if cpu else {"gpu_memory_utilization": memory or 0.85}
        try:
            with warnings.catch_warnings(), _out_of_sight("llvmlite.binding.ffi"):
                warnings.simplefilter("ignore")
                self._engine = LLMEngine.from_engine_args(
                    EngineArgs(
                        model=folder, max_model_len=self.context, max_num_seqs=self.in_flight, seed=0, disable_log_stats=True,
                        trust_remote_code=False, load_format="safetensors", use_tqdm_on_load=False, **own,
                    )
                )  # fmt: skip
        except (ValueError, RuntimeError, OSError, NotImplementedError) as error:
            raise SetupError(f"{folder}: vLLM cannot load this model: {' '.join(str(error).split())[:300]}") from error
        self._refusals = (ValueError, VLLMClientError)
        self.calls = 0

    def run(self, calls: Iterable[Call]) -> Iterator[list[Reply]]:
        """Yield, step by step, what has just finished; [] while nothing has. Keeps `in_flight` calls going to the end.

        A caller that stops early leaves no request behind.
        """
        waiting = iter(calls)
        held: dict[str, Call] = {}
        try:
            while True:
                replies = self._fill(waiting, held)
                if not held and not replies:
                    return
                if held:
                    outputs = [output for output in self._engine.step() if output.finished]
                    replies += [_reply(held.pop(output.request_id), output) for output in outputs]
                yield replies
        finally:
            if held:
                self._engine.abort_request(list(held))

    def _fill(self, waiting: Iterator[Call], held: dict[str, Call]) -> list[Reply]:
        """Take calls until `in_flight` are going. Returns the replies to those that the engine refuses."""
        refused = []
        while len(held) < self.in_flight and (call := next(waiting, None)) is not None:
            self.calls += 1
            name = str(self.calls)
            try:
                self._engine.add_request(name, {"prompt_token_ids": list(call.prompt)}, _params(call))
            except self._refusals as error:  # such as a prompt that is too long
                refused.append(Reply(call.id, "refused", refused=" ".join(str(error).split())[:300]))
            else:
                held[name] = call
        return refused

    def close(self) -> None:
        """Give memory and threads back. The engine cannot be used after."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        del self._engine
        cleanup_dist_env_and_memory()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextmanager
def _out_of_sight(name: str) -> Iterator[None]:
    """Hide a module while vLLM starts: on a CPU it looks into every object of every module, and numba's library wrapper has no
    `__dict__` that can be looked into (vLLM 0.32, llvmlite 0.47)."""
    module = sys.modules.pop(name, None)
    try:
        yield
    finally:
        if module is not None:
            sys.modules[name] = module


def bears(folder: str) -> int:
    """Return the longest context of a model, from its configuration."""
    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings") or 2048)


def room(folder: str, context: int, in_flight: int) -> int:
    """Return GiB for the keys and values of requests that fill half their context each: a quarter of the memory at most, at least 1."""
    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    heads = config.get("num_attention_heads") or 1
    width = config.get("head_dim") or (config.get("hidden_size") or 0) // heads
    token = 2 * 2 * (config.get("num_hidden_layers") or 0) * (config.get("num_key_value_heads") or heads) * width
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(max(1, min(token * context * in_flight // 2, memory // 4) // 2**30))


def _on_cpu(context: int) -> dict[str, Any]:
    return {
        "dtype": "bfloat16",
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(context, READ_AT_ONCE),
    }


def _params(call: Call) -> "SamplingParams":
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    if call.scored:
        return SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, output_kind=RequestOutputKind.FINAL_ONLY)
    if call.choices:
        return SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=list(call.choices), output_kind=RequestOutputKind.FINAL_ONLY)
    how = call.sampling
    return SamplingParams(
        temperature=how.temperature, top_p=how.top_p, top_k=how.top_k, min_p=how.min_p, max_tokens=how.max_tokens,
        stop=list(how.stop), seed=call.seed, output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip


def _reply(call: Call, output: "RequestOutput") -> Reply:
    if call.scored:
        given = (output.prompt_logprobs or [])[-call.scored :]
        found = [entry[token].logprob for entry, token in zip(given, call.prompt[-call.scored :], strict=True) if entry]
        return Reply(call.id, "scored", tokens=call.scored, logprob=sum(found))
    said = output.outputs[0]
    if call.choices:
        found = (said.logprobs or [{}])[0]
        return Reply(call.id, "weighed", weights=tuple(max(found[token].logprob, IMPOSSIBLE) for token in call.choices))
    return Reply(call.id, said.finish_reason or "length", said.text, len(said.token_ids))
