package dev.edgedeploy.bench.core;

/** libedgebench_jni: the runner's own C++. Whoever loads it is a worker, and calls it once. */
public final class Native {
    private Native() {}

    /**
     * The worker's life; what it says goes to worker.jsonl in `directory`.
     *
     * @param command plan (of plan.json in `directory`), or describe MODEL RUNTIME, or hello
     * @param libDir where the runtimes' libraries are
     * @param notesDir where versions.json is
     * @return the exit code of docs/runner-protocol.md
     */
    public static native int run(String directory, String[] command, String libDir, String notesDir);
}
