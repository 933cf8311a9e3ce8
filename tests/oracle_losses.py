"""What TRL's trainers make of a model and rows. Run by test_trainer_oracle in the oracles' environment.

oracle_losses.py ORDER ANSWER: JSON in {sft: {model, messages}, dpo: {model, reference, beta, pairs}}; JSON out, for each, the
loss and the sum of |gradient| of every parameter. Chats are tokenised and masked by TRL itself, through the model's own
template; pairs come as token ids (TRL also learns the blank after a turn's end, which we do not).
"""

import json
import sys
import tempfile
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer


def sft(order: dict[str, Any], folder: str) -> dict[str, Any]:
    """The loss of all chats as one batch."""
    rows = Dataset.from_list([{"messages": messages} for messages in order["messages"]])
    knobs = SFTConfig(
        folder, assistant_only_loss=True, max_length=None, report_to=[], use_cpu=True, per_device_train_batch_size=len(rows), bf16=False,
        gradient_checkpointing=False,
    )  # fmt: skip
    trainer = SFTTrainer(opened(order["model"]), knobs, train_dataset=rows, processing_class=AutoTokenizer.from_pretrained(order["model"]))
    return gradients(trainer)


def dpo(order: dict[str, Any], folder: str) -> dict[str, Any]:
    """The loss of all pairs as one batch."""
    tokenizer = AutoTokenizer.from_pretrained(order["model"])
    rows = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 2)
    knobs = DPOConfig(
        folder, beta=order["beta"], loss_type="sigmoid", max_length=None, report_to=[], use_cpu=True, per_device_train_batch_size=len(order["pairs"]),
        bf16=False, gradient_checkpointing=False,
    )  # fmt: skip
    trainer = DPOTrainer(opened(order["model"]), opened(order["reference"]), knobs, train_dataset=rows, processing_class=tokenizer)
    trainer.train_dataset = Dataset.from_list(order["pairs"])
    return gradients(trainer)


def opened(folder: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def gradients(trainer: Any) -> dict[str, Any]:
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    named = trainer.accelerator.unwrap_model(trainer.model).named_parameters()
    return {"loss": loss.item(), "gradients": {name: p.grad.abs().sum().item() for name, p in named}}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as handle:
        given = json.load(handle)
    with tempfile.TemporaryDirectory() as place:
        answer = {"sft": sft(given["sft"], place), "dpo": dpo(given["dpo"], place)}
    with open(sys.argv[2], "w", encoding="utf-8") as handle:
        json.dump(answer, handle)
