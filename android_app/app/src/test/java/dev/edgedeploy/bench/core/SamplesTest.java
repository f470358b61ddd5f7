package dev.edgedeploy.bench.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class SamplesTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static ByteBuffer file(long warmup, long steady, long streams) {
        int records = (int) (Math.max(1, streams) * (warmup + steady));
        ByteBuffer out = ByteBuffer.allocate(32 + 16 * records).order(ByteOrder.LITTLE_ENDIAN);
        out.put("EDGS".getBytes()).putInt(1).putLong(warmup).putLong(steady).putLong(streams);
        return out;
    }

    private static void record(ByteBuffer file, int index, long elapsedNs) {
        file.putLong(32 + 16 * index, 1000 + index).putLong(32 + 16 * index + 8, elapsedNs);
    }

    private Samples read(byte[] content) throws IOException {
        Files.write(new File(folder.getRoot(), "samples.bin"), content);
        return Samples.all(folder.getRoot());
    }

    @Test
    public void whatIsWrittenSoFar() throws Exception {
        for (int written : new int[] {0, 1, 2, 9, 10}) {
            ByteBuffer file = file(3, 10, 0);
            record(file, 0, 5);
            for (int i = 0; i < written; i++) record(file, 3 + i, 100 + i);
            Samples found = read(file.array());
            assertEquals(1, found.warmupCount);
            assertEquals(written, found.steadyCount);
            assertEquals(written, found.steadyElapsedNs.length);
            if (written > 1) assertEquals(101, found.steadyElapsedNs[1]);
            assertEquals(written, Samples.count(folder.getRoot()).steadyCount);
        }
    }

    @Test
    public void manyAndStreams() throws Exception {
        ByteBuffer file = file(0, 10_000, 2);
        for (int i = 0; i < 9000; i++) record(file, i, i + 1);
        for (int i = 0; i < 50; i++) record(file, 10_000 + i, 7);
        Samples found = read(file.array());
        assertEquals(9050, found.steadyCount);
        assertEquals(9000, found.steadyElapsedNs.length);
        assertEquals(9000, found.steadyElapsedNs[8999]);
    }

    @Test
    public void whatIsNoSampleFile() throws Exception {
        assertEquals(0, Samples.all(folder.getRoot()).steadyCount);
        byte[] good = file(1, 2, 0).array();
        assertEquals(0, read(new byte[0]).steadyCount);
        assertEquals(0, read(Arrays.copyOf(good, good.length - 1)).steadyCount);
        assertEquals(0, read(Arrays.copyOf(good, good.length + 16)).steadyCount);
        long[][] heads = {{-1, 2, 0}, {1L << 40, 2, 0}, {1, 2, 1000}, {1, 2, -5}, {Long.MAX_VALUE, Long.MAX_VALUE, 64}, {1, Long.MIN_VALUE, 0}};
        for (long[] head : heads) {
            ByteBuffer bad = ByteBuffer.wrap(good.clone()).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < 3; i++) bad.putLong(8 + 8 * i, head[i]);
            bad.putLong(32 + 16 + 8, 1);
            Samples found = read(bad.array());
            assertEquals(Arrays.toString(head), head[2] < 0 ? 1 : 0, found.steadyCount);
        }
        Random random = new Random(1);
        for (int i = 0; i < 1000; i++) {
            byte[] noise = good.clone();
            for (int k = 0; k < 4; k++) noise[random.nextInt(noise.length)] = (byte) random.nextInt();
            read(noise);
        }
    }

    @Test
    public void summary() {
        Summary five = new Summary(new long[] {5, 1, 4, 2, 3});
        assertArrayEquals(new double[] {3, 1.4, 4.6}, new double[] {five.medianNs, five.p10Ns, five.p90Ns}, 1e-9);
        assertEquals("{\"count\":5,\"median_ns\":3.0,\"p10_ns\":1.4,\"p90_ns\":4.6}", five.json());
        assertEquals(2.5, new Summary(new long[] {1, 2, 3, 4}).medianNs, 0);
        assertEquals("no sample", new Summary(new long[0]).text());
        assertEquals("{\"count\":0}", new Summary(new long[0]).json());
    }
}
