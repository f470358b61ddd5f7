package dev.edgedeploy.bench.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.ArrayList;
import java.util.List;

/** Complete lines out of a file that somebody else is writing. */
final class Tail {
    /** A longer one is no event; dropped, so that memory stays bounded. */
    private static final int MAX_LINE_BYTES = 4 << 20;

    private final File file;
    private long at;
    private final ByteArrayOutputStream pending = new ByteArrayOutputStream();
    private boolean dropping;

    Tail(File file) {
        this.file = file;
    }

    /** What came since the last call. */
    List<String> lines() throws IOException {
        List<String> found = new ArrayList<String>();
        if (file.length() <= at) return found;
        RandomAccessFile in = new RandomAccessFile(file, "r");
        try {
            in.seek(at);
            byte[] block = new byte[16384];
            for (int n; (n = in.read(block)) > 0; at += n) take(block, n, found);
        } finally {
            in.close();
        }
        return found;
    }

    private void take(byte[] block, int n, List<String> found) throws IOException {
        for (int i = 0; i < n; i++) {
            if (block[i] == '\n') {
                if (!dropping) found.add(pending.toString("UTF-8"));
                pending.reset();
                dropping = false;
            } else if (pending.size() < MAX_LINE_BYTES) {
                pending.write(block[i]);
            } else {
                dropping = true;
            }
        }
    }
}
