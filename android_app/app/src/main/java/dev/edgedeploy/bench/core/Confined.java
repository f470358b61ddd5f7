package dev.edgedeploy.bench.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

/** Names that come from outside, as files of ours and of nobody else's. */
public final class Confined {
    private static final int MAX_PARTS = 4;
    private static final String PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}";

    private Confined() {}

    /** What is not ours, or is not what it should be. */
    public static final class Outside extends Exception {
        Outside(String message) {
            super(message);
        }
    }

    /** The file or directory `name` below `root`: plain names joined by "/", through no symbolic link. */
    public static File below(File root, String name) throws Outside {
        String[] parts = name == null ? new String[0] : name.split("/", -1);
        if (parts.length == 0 || parts.length > MAX_PARTS) throw new Outside("not a name of ours");
        for (String part : parts) if (!part.matches(PART)) throw new Outside("not a name of ours");
        try {
            File found = new File(root, name);
            if (!found.getCanonicalPath().equals(root.getCanonicalPath() + "/" + name))
                throw new Outside(name + " leads elsewhere");
            return found;
        } catch (IOException error) {
            throw new Outside(name + " cannot be looked at");
        }
    }

    /** The text of a file that has at most so many bytes. */
    public static String read(File file, int mostBytes) throws IOException {
        if (!file.isFile()) throw new IOException(file.getName() + " is not there");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        InputStream in = new FileInputStream(file);
        try {
            byte[] block = new byte[65536];
            for (int n; (n = in.read(block)) > 0; ) {
                if (out.size() + n > mostBytes) throw new IOException(file.getName() + " is too large");
                out.write(block, 0, n);
            }
        } finally {
            in.close();
        }
        return out.toString("UTF-8");
    }

    /** For a screen: short, on one line, without anything that would steer it. */
    public static String shown(Object value, int mostChars) {
        String text = String.valueOf(value).replaceAll("[^\\p{L}\\p{N}\\p{P}\\p{S} ]", "?");
        return text.length() <= mostChars ? text : text.substring(0, mostChars - 1) + "…";
    }
}
