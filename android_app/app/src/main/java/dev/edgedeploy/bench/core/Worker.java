package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.IOException;

/** A process that calls `Native.run` once and ends. An app cannot fork, so how one is made is the platform's. */
public interface Worker {
    /** 0 while it is not known. */
    long pid();

    boolean alive();

    /** What ended it, in words: "signal 11", "code 3"; "" where it is not known. */
    String death();

    /** The signal that ended it; 0 for none, or where it is not known. */
    int signal();

    void kill();

    /** Starts one. */
    interface Starter {
        Worker start(File directory, String[] command) throws IOException;
    }
}
