package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The sample file of a run, whole or still being written (docs/runner-protocol.md). It may say anything of itself. */
public final class Samples {
    private static final int HEADER_BYTES = 32, RECORD_BYTES = 16, MAX_STREAMS = 64;
    private static final long MAX_CAPACITY = 1 << 24;
    /** Of these a median is made; a phone has not the memory for more. */
    public static final int MOST_TAKEN = 1 << 20;

    public final long warmupCount;
    public final long steadyCount;
    /** Of the first stream's steady phase. */
    public final long[] steadyElapsedNs;

    private Samples(long warmup, long steady, long[] elapsed) {
        warmupCount = warmup;
        steadyCount = steady;
        steadyElapsedNs = elapsed;
    }

    /** Only how many there are. Nothing where there is no such file. */
    public static Samples count(File directory) {
        return read(directory, false);
    }

    public static Samples all(File directory) {
        return read(directory, true);
    }

    private static Samples read(File directory, boolean values) {
        Samples none = new Samples(0, 0, new long[0]);
        File file = new File(directory, "samples.bin");
        if (!file.isFile()) return none;
        try {
            RandomAccessFile in = new RandomAccessFile(file, "r");
            try {
                return read(in, values, none);
            } finally {
                in.close();
            }
        } catch (IOException error) {
            return none;
        }
    }

    private static Samples read(RandomAccessFile in, boolean values, Samples none) throws IOException {
        ByteBuffer head = block(in, 0, HEADER_BYTES);
        if (head.getInt(0) != 0x53474445 || head.getInt(4) != 1) return none; // "EDGS"
        long warmupCapacity = head.getLong(8), steadyCapacity = head.getLong(16), streams = Math.max(1, head.getLong(24));
        if (warmupCapacity < 0 || warmupCapacity > MAX_CAPACITY || steadyCapacity < 0 || steadyCapacity > MAX_CAPACITY) return none;
        if (streams > MAX_STREAMS) return none;
        if (in.length() != HEADER_BYTES + RECORD_BYTES * streams * (warmupCapacity + steadyCapacity)) return none;
        long warmup = 0, steady = 0, at = HEADER_BYTES;
        long[] elapsed = new long[0];
        for (int stream = 0; stream < streams; stream++) {
            warmup += written(in, at, warmupCapacity);
            at += RECORD_BYTES * warmupCapacity;
            long count = written(in, at, steadyCapacity);
            if (values && stream == 0) elapsed = elapsed(in, at, (int) Math.min(count, MOST_TAKEN));
            steady += count;
            at += RECORD_BYTES * steadyCapacity;
        }
        return new Samples(warmup, steady, elapsed);
    }

    /** How many records of a region are written: they are at its beginning. */
    private static long written(RandomAccessFile in, long start, long capacity) throws IOException {
        long low = 0, high = capacity;
        while (low < high) {
            long middle = (low + high) >>> 1;
            if (block(in, start + middle * RECORD_BYTES, RECORD_BYTES).getLong(8) != 0) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    private static long[] elapsed(RandomAccessFile in, long start, int count) throws IOException {
        long[] found = new long[count];
        final int step = 4096;
        for (int first = 0; first < count; first += step) {
            int part = Math.min(step, count - first);
            ByteBuffer records = block(in, start + (long) first * RECORD_BYTES, part * RECORD_BYTES);
            for (int i = 0; i < part; i++) found[first + i] = records.getLong(i * RECORD_BYTES + 8);
        }
        return found;
    }

    private static ByteBuffer block(RandomAccessFile in, long at, int bytes) throws IOException {
        byte[] data = new byte[bytes];
        in.seek(at);
        in.readFully(data);
        return ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    }
}
