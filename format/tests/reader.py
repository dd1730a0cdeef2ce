"""A reader of `.rfy` containers, written from SPEC.md alone: it shares no line with the Rust code.

    python3 reader.py FOLDER

decodes every NAME.rfy in FOLDER into biases and weights, computes the logits of the inputs in NAME.txt
as SPEC.md says, and exits with status 1 if any of them differs. If the container states units, it does the same for the
numbers in NAME.values. It also prints what it has read. Standard library only.
"""

import struct
import sys
from pathlib import Path

DENSE, CONV, POOL = 0, 1, 2
ENCODINGS = {0: "dense", 1: "csr", 2: "words", 3: "columns", 4: "rice", 5: "csr-f32", 15: "none"}


class Refused(Exception):
    """The container breaks a rule of the format."""


def need(condition, what):
    if not condition:
        raise Refused(what)


class Cursor:
    """Bytes read in order."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "a block is too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def array(self, kind, count):
        return list(struct.unpack("<%d%s" % (count, kind), self.take(count * struct.calcsize(kind))))

    def one(self, kind):
        return self.array(kind, 1)[0]

    def left(self):
        return len(self.data) - self.at


def wrap(value):
    """Modulo 2^32, read as i32."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def f32(value):
    """Rounded to an IEEE 754 single."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


# The encodings. Each function returns biases and rows; a row is a list of (column, weight).


def signed(word):
    return word - (1 << 16) if word >> 15 else word


def split(values, lengths):
    rows, at = [], 0
    for length in lengths:
        rows.append(values[at : at + length])
        at += length
    need(at == len(values), "the row lengths do not add up")
    return rows


def read_dense(block, columns, outputs):
    bias = block.array("i", outputs)
    rows = []
    for _ in range(outputs):
        weights = block.array("b", columns)
        rows.append([(column, weight) for column, weight in enumerate(weights) if weight])
    return bias, rows


def read_csr(block, columns, outputs):
    bias, lengths = block.array("i", outputs), block.array("H", outputs)
    need(block.left() % 3 == 0, "no whole number of weights")
    stored = block.left() // 3
    places, weights = block.array("H", stored), block.array("b", stored)
    return bias, split(list(zip(places, weights)), lengths)


def read_words(block, columns, outputs):
    mask = block.one("I")
    need(mask in [(1 << c) - 1 for c in range(1, 16)] and columns <= mask + 1, "the mask of packed words")
    bias, rows = [], []
    while True:
        form, more = block.array("H", 2)
        if (form, more) == (34, 0):
            break
        count = more + 1
        length = form // 2 if form < 30 else block.one("I")
        even = 1 - count % 2
        need(form == (2 * length if length <= 14 else 30) + even, "the form of a run")
        need(length <= 0xFFFF and count <= 1 << 15, "the size of a run")
        for _ in range(count):
            bias.append(block.one("i"))
            words = block.array("H", length + length % 2)
            used = [word for word in words if word]
            need(words[: len(used)] == used and len(used) <= length, "a word after the end of its row")
            rows.append([(word & mask, signed(word)) for word in used])
    need(len(rows) == outputs, "the runs do not add up")
    return bias, rows


def read_columns(block, columns, outputs):
    bits = block.one("B")
    skip, pairs = block.one("B"), block.one("H")
    need(bits <= 15 and outputs <= 1 << bits and 4 * skip + 2 * pairs <= columns + columns % 2, "the head of columns")
    mask = (1 << bits) - 1
    bias = block.array("i", outputs)
    starts = block.array("H", pairs)
    need(starts[-1] and (any(starts[:2]) or skip == 255) if pairs else skip == 0, "inputs without weights")
    if len(starts) % 2:
        need(block.one("H") == 0, "padding")
    need(block.left() % 4 == 0, "no whole number of blocks")
    size = block.left() // 4
    need(block.one("I") == 0, "the empty block")
    end = 1
    rows = [[] for _ in range(outputs)]
    for pair, start in enumerate(starts, 2 * skip):
        if start == 0:
            continue
        need(start == end, "the starts")
        counts = block.one("I")
        both, first, second = counts >> 22, counts >> 11 & 0x7FF, counts & 0x7FF
        need(counts and (2 * pair + 1 < columns or both == second == 0), "the counts of a pair")
        end += 1 + both + (first + 1) // 2 + (second + 1) // 2
        words = block.array("H", 2 * both)
        need(all((a ^ b) & mask == 0 for a, b in zip(words[::2], words[1::2])), "two rows in one")
        lists = [(words[::2], words[1::2])]
        for count in first, second:
            need(count % 2 == 0 or block.one("H") == 0, "the padding of an odd section")
            lists.append((block.array("H", count),))
        for section, (words, *others) in enumerate(lists):
            indices = [word & mask for word in words]
            need(indices == sorted(set(indices)), "rows that do not increase")
            for index, *word in zip(indices, words, *others):
                need(index < outputs, "a row that does not exist")
                need(all(word), "a word of 0")
                column = 2 * pair + (section == 2)
                rows[index] += [(column + place, signed(each)) for place, each in enumerate(word)]
    need(end == size, "the blocks")
    return bias, rows


def read_csr_f32(block, columns, outputs):
    bias, lengths = block.array("f", outputs), block.array("H", outputs)
    if outputs % 2:
        need(block.one("H") == 0, "padding")
    need(block.left() % 6 == 0, "no whole number of weights")
    stored = block.left() // 6
    weights, places = block.array("f", stored), block.array("H", stored)
    return bias, split(list(zip(places, weights)), lengths)


class Bits:
    """A stream of bits, from the last byte to the first, the most significant of a byte first."""

    def __init__(self, data):
        self.bits = "".join(f"{byte:08b}" for byte in reversed(data))
        self.at = 0

    def number(self, count):
        need(self.at + count <= len(self.bits), "the bits end")
        self.at += count
        return int(self.bits[self.at - count : self.at] or "0", 2)

    def rice(self, k):
        """R(k): a quotient in unary, a remainder."""
        start, quotient = self.at, 0
        while not self.number(1):
            quotient += 1
        number = quotient << k | self.number(k)
        need(self.at - start <= 25, "a code of more than 25 bits")
        return number


def unfold(number):
    return -(number + 1) // 2 if number % 2 else number // 2


def read_rice(block, columns, outputs):
    head = int.from_bytes(block.take(4), "big")

    def field(low, count):
        return head >> low & ((1 << count) - 1)

    is_sorted, selected, adjacent, has_codebook = (field(bit, 1) for bit in (31, 30, 29, 28))
    first_spread, gap_spread = field(24, 4), field(20, 4)
    length_k, count_k = field(16, 4), field(13, 3)
    bias_k, bias_shift, weight_k = field(8, 5), field(4, 4), field(0, 4)
    codebook = block.array("b", block.one("B") + 1) if has_codebook else None
    listed = int.from_bytes(block.take(2), "big") if selected else None
    bits = Bits(block.take(block.left()))

    inputs = list(range(columns))
    if selected:
        gap_k, run_k = bits.number(4), bits.number(4)
        inputs, at = [], 0
        while at < columns:
            # At least one unused input separates two runs.
            at += at > 0
            at += bits.rice(gap_k)
            if at < columns:
                run = bits.rice(run_k) + 1
                need(at + run <= columns, "the list of inputs")
                inputs += range(at, at + run)
                at += run
        need(len(inputs) == listed, "the list of inputs")
    columns = len(inputs)

    def parameter(spread, weights):
        """K(spread, weights)."""
        fitting = [k for k in range(33) if weights << k >= columns * spread // 8]
        return fitting[0] if weights else 0

    bias, rows, length, run = [], [], -1 if is_sorted else 0, 0
    for _ in range(outputs):
        if run == 0:
            if is_sorted:
                length += 1 + bits.rice(length_k)
                run = bits.rice(count_k) + 1
            else:
                length += unfold(bits.rice(length_k))
                run = 1
            need(0 <= length <= columns, "the length of a row")
            first_k, gap_k = parameter(first_spread, length * run), parameter(gap_spread, length)
            column_of_first = 0
        bias.append(wrap(unfold(bits.rice(bias_k)) << bias_shift))
        if length:
            column_of_first += bits.rice(first_k)
        weights, column = [], column_of_first
        for left in reversed(range(length)):
            start = bits.at
            code = bits.rice(weight_k)
            need(not codebook or code < len(codebook), "an entry that does not exist")
            weight = codebook[code] if codebook else (code // 2 + 1) * (-1 if code % 2 else 1)
            need(column < columns, "a column that does not exist")
            need(weight and -32768 <= weight <= 32767, "a weight of 0 or of more than 16 bits")
            weights.append((inputs[column], weight))
            if left and not (adjacent and bits.number(1)):
                column += adjacent + bits.rice(gap_k)
            need(bits.at - start <= 25, "a weight and a gap of more than 25 bits together")
            column += 1
        rows.append(weights)
        run -= 1
    need(run == 0 and "1" not in bits.bits[bits.at :] and len(bits.bits) - bits.at < 8, "data after the last row")
    return bias, rows


READERS = {
    "dense": read_dense,
    "csr": read_csr,
    "words": read_words,
    "columns": read_columns,
    "rice": read_rice,
    "csr-f32": read_csr_f32,
}


class Window:
    def __init__(self, size, stride, padding):
        self.size, self.stride = size, stride  # each (height, width)
        self.top, self.left, self.bottom, self.right = padding

    def outputs(self, height, width):
        height = self.top + height + self.bottom - self.size[0]
        width = self.left + width + self.right - self.size[1]
        need(height >= 0 and width >= 0, "a window that does not fit")
        return height // self.stride[0] + 1, width // self.stride[1] + 1

    def tap(self, shape, values, channel, down, right, y, x):
        """The value at (down, right) of the window at output position (y, x)."""
        _, height, width = shape
        row, column = y * self.stride[0] + down - self.top, x * self.stride[1] + right - self.left
        if 0 <= row < height and 0 <= column < width:
            return values[(channel * height + row) * width + column]
        return 0


class Layer:
    """One layer in numbers."""


def nibbles(byte):
    return byte & 15, byte >> 4


def checksum_of(data):
    """The checksum: whole words, then the remaining bytes."""
    state, whole = 0xFFFFFFFF, len(data) // 4
    for word in struct.unpack_from("<%dI" % whole, data):
        s = state ^ word
        s ^= s << 5 & 0xFFFFFFFF
        s ^= s >> 21
        state = s ^ s << 12 & 0xFFFFFFFF
    for byte in data[4 * whole :]:
        s = state ^ byte
        state = s >> 8 | s << 24 & 0xFFFFFFFF
    return state


def read(data):
    """The shapes of all maps, the input first, the layers of a container, and its units, if any."""
    need(len(data) >= 16 and data[:3] == b"RFY" and data[3] == 1, "no container of version 1")
    checksum, count = struct.unpack_from("<IB", data, 4)
    width, height, channels = struct.unpack_from("<HBB", data, 12)
    need(checksum_of(data[8:]) == checksum, "the checksum")
    has_units, count = count >> 7, count & 127
    need(1 <= count <= 64 and len(data) >= 16 + 8 * count, "the number of layers")
    shapes = [(channels, height, width)]
    layers, at, base = [], 16 + 8 * count, 16 + 8 * count
    for index in range(count):
        kind, shift, outputs, original, low = struct.unpack_from("<BBHHH", data, 16 + 8 * index)
        layer = Layer()
        layer.encoding, layer.operation = ENCODINGS.get(kind & 15), kind >> 4 & 3
        need(layer.encoding and layer.operation < 3 and kind < 128, "an unknown kind of layer")
        layer.shift, layer.outputs, layer.original = shift & 31, outputs, original
        length = low | (shift >> 5) << 16
        start = at if layer.encoding in ("rice", "none") else base + (at - base + 3) // 4 * 4
        need(not any(data[at:start]), "the bytes between blocks")
        block, at = Cursor(data[start : start + length]), start + length
        need(at <= len(data), "a block past the end")

        layer.pooling, layer.pool = 0, 1
        if layer.operation != DENSE:
            steps, before, after, pool, _, _, _ = struct.unpack("<6BH", block.take(8))
            (size, stride) = nibbles(steps)
            size, stride = (size, size), (stride, stride)
            if steps == 0:
                high, wide, strides, zero = block.take(4)
                size, stride = (high, wide), nibbles(strides)
                short = high == wide <= 15 and stride[0] == stride[1]
                need(zero == 0 and not short, "an extension that is not needed")
            need(0 not in size + stride, "a window without size or stride")
            layer.window = Window(size, stride, nibbles(before) + nibbles(after))
            layer.pooling = pool & 3
            if layer.operation == CONV and layer.pooling:
                layer.pool = pool >> 2
        layer.source, layer.skip, layer.skip_shift = 1, 0, 0
        if kind & 64:
            links, layer.skip_shift, _ = struct.unpack("<BBH", block.take(4))
            layer.source, layer.skip = nibbles(links)
        need(1 <= layer.source <= index + 1 and layer.skip <= index + 1, "a link past the input")

        channels, height, width = shapes[index + 1 - layer.source]
        if layer.operation == DENSE:
            columns, shape = channels * height * width, (outputs, 1, 1)
        else:
            columns = channels * layer.window.size[0] * layer.window.size[1]
            layer.height, layer.width = layer.window.outputs(height, width)
            shape = (outputs, layer.height // layer.pool, layer.width // layer.pool)
        shapes.append(shape)
        layer.bias, layer.rows = [], []
        if layer.encoding != "none":
            layer.bias, layer.rows = READERS[layer.encoding](block, columns, outputs)
        need(block.left() == 0, "a block is too long")
        for row in layer.rows:
            places = [column for column, _ in row]
            rises = layer.encoding == "columns" or places == sorted(set(places))
            need(rises, "columns that do not increase")
            need(not places or max(places) < columns, "a column that does not exist")
        layers.append(layer)
    units = None
    if has_units:
        start = (at + 3) // 4 * 4
        need(not any(data[at:start]), "the bytes before the units")
        section = Cursor(data[start:])
        step, maps = section.one("f"), section.one("I")
        numbers = section.array("f", 2 * maps)
        at = start + section.at
        inputs = shapes[0][0] * shapes[0][1] * shapes[0][2]
        need(0 < step < float("inf") and maps and inputs % maps == 0, "the step or the number of maps")
        need(all(abs(number) < float("inf") for number in numbers), "a map that is not finite")
        need(all(factor >= 0 for factor in numbers[1::2]), "a negative factor")
        units = step, list(zip(numbers[::2], numbers[1::2])), inputs // maps
    need(at == len(data), "bytes after the last block")
    last = layers[-1]
    need(last.operation == DENSE and last.shift == 0, "the last layer")
    return shapes, layers, units


def quantize(units, values):
    """The input bytes of numbers in the units of the data."""
    _, maps, share = units
    data = []
    for index, value in enumerate(values):
        minimum, factor = maps[index // share]
        number = f32(f32(f32(value - minimum) * factor) + 0.5)
        data.append(0 if number != number else int(min(max(number, 0), 255)))
    return data


def requantize(acc, shift):
    return min(max(acc >> shift, 0), 255)


def dense(layer, source, last):
    sums = []
    for bias, row in zip(layer.bias, layer.rows):
        sums.append(wrap(bias + sum(weight * source[column] for column, weight in row)))
    return sums if last else [requantize(acc, layer.shift) for acc in sums]


def dense_f32(layer, source, last):
    sums = []
    for bias, row in zip(layer.bias, layer.rows):
        acc = bias
        for column, weight in row:
            acc = f32(acc + f32(weight * source[column]))
        sums.append(acc)
    if not last:
        return [max(acc, 0.0) for acc in sums]
    scaled = [f32(acc * 65536.0) for acc in sums]
    return [0 if s != s else int(min(max(s, -(2.0**31)), 2.0**31 - 1)) for s in scaled]


def conv(layer, shape, source, skip):
    window, (high, wide), out = layer.window, layer.window.size, []
    for channel, (bias, row) in enumerate(zip(layer.bias, layer.rows)):
        sums = []
        for y in range(layer.height):
            for x in range(layer.width):
                acc = bias
                for column, weight in row:
                    seen, tap = divmod(column, high * wide)
                    acc += weight * window.tap(shape, source, seen, tap // wide, tap % wide, y, x)
                if skip is not None:
                    place = (channel * layer.height + y) * layer.width + x
                    acc += skip[place] << layer.skip_shift
                sums.append(wrap(acc))
        p = layer.pool
        for y in range(layer.height // p):
            for x in range(layer.width // p):
                part = [sums[(y * p + i) * layer.width + x * p + j] for i in range(p) for j in range(p)]
                if layer.pooling == 2:
                    part = [wrap(sum(max(acc, 0) for acc in part))]
                out.append(requantize(max(part), layer.shift))
    return out


def pool(layer, shape, source):
    out = []
    for channel in range(shape[0]):
        for y in range(layer.height):
            for x in range(layer.width):
                high, wide = layer.window.size
                taps = [(i, j) for i in range(high) for j in range(wide)]
                part = [layer.window.tap(shape, source, channel, i, j, y, x) for i, j in taps]
                if layer.pooling == 1:
                    out.append(max(part))
                else:
                    out.append(requantize(sum(part) + (1 << layer.shift >> 1), layer.shift))
    return out


def infer(shapes, layers, data):
    """The logits."""
    values = [list(data)]
    for index, layer in enumerate(layers):
        slot = index + 1 - layer.source
        source, shape, last = values[slot], shapes[slot], index + 1 == len(layers)
        if layer.encoding == "csr-f32":
            values.append(dense_f32(layer, source, last))
        elif layer.operation == DENSE:
            values.append(dense(layer, source, last))
        elif layer.operation == CONV:
            skip = values[index + 1 - layer.skip] if layer.skip else None
            values.append(conv(layer, shape, source, skip))
        else:
            values.append(pool(layer, shape, source))
    return values[-1]


def main(folder):
    agreed = True
    for path in sorted(Path(folder).glob("*.rfy")):
        shapes, layers, units = read(path.read_bytes())
        for layer in layers:
            stored = sum(len(row) for row in layer.rows)
            print(f"  {layer.encoding}: {layer.outputs} of {layer.original} outputs, {stored} weights")
        checked = 0
        for line in path.with_suffix(".txt").read_text().splitlines():
            if line.startswith("#"):
                continue
            data, *stated = line.split()
            stated = [int(logit) for logit in stated]
            computed = infer(shapes, layers, bytes.fromhex(data))
            checked += 1
            if computed != stated:
                agreed = False
                print(f"{path.name}: input {checked} has the logits {computed}, but {stated} are stated")
        for line in path.with_suffix(".values").read_text().splitlines() if units else []:
            if line.startswith("#"):
                continue
            values, stated, outputs = (part.split() for part in line.split("|"))
            data = quantize(units, [f32(float(value)) for value in values])
            logits = infer(shapes, layers, data)
            computed = [f32(f32(units[0]) * f32(logit)) for logit in logits]
            if bytes(data).hex() != stated[0] or computed != [f32(float(output)) for output in outputs]:
                agreed = False
                print(f"{path.name}: {values} become {bytes(data).hex()} and {computed}, but {stated} and {outputs} are stated")
        print(f"{path.name}: {checked} inputs agree" if agreed else f"{path.name}: differs")
    return 0 if agreed else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 reader.py FOLDER")
    sys.exit(main(sys.argv[1]))
