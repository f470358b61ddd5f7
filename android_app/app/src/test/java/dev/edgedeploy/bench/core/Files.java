package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/** Small files, written. */
final class Files {
    private Files() {}

    static File write(File file, String text) throws IOException {
        return write(file, text.getBytes("UTF-8"));
    }

    static File write(File file, byte[] content) throws IOException {
        file.getParentFile().mkdirs();
        OutputStream out = new FileOutputStream(file);
        try {
            out.write(content);
        } finally {
            out.close();
        }
        return file;
    }
}
