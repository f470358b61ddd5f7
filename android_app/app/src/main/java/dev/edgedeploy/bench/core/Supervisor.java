package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.IOException;
import java.util.Map;

/**
 * A worker's life, seen from outside, as the runner's own supervisor sees it: its lines are forwarded, its time and memory
 * watched, its death reported. The last line is always an `end` or an `error` (`hello` or `describe` for a question).
 */
public final class Supervisor {
    /** Where lines go. */
    public interface Sink {
        void line(String line, Map<String, Object> event);
    }

    /** While samples are taken it looks less often, to leave the CPU alone. */
    private static final long LOOK_MS = 20, LOOK_MEASURING_MS = 100, PROGRESS_MS = 1000, LEAVE_MS = 2000;

    private final File directory;
    private final Worker.Starter starter;
    private final Sink sink;
    private final Limits limits;
    private final Tail tail;
    private volatile boolean cancelled;
    private String phase = "plan";
    private boolean finished;
    private int code;
    private Worker worker;
    private ProcessFacts facts = ProcessFacts.of(0);

    public Supervisor(File directory, Limits limits, Worker.Starter starter, Sink sink) {
        this.directory = directory;
        this.limits = limits;
        this.starter = starter;
        this.sink = sink;
        tail = new Tail(new File(directory, "worker.jsonl"));
    }

    /** Ends the run soon; from any thread. So does a file of the name `cancel` in the directory. */
    public void cancel() {
        cancelled = true;
    }

    /** Runs it to its end; the exit code of the protocol. */
    public int run(String[] command) throws IOException {
        File lines = new File(directory, "worker.jsonl");
        if (lines.exists() && !lines.delete()) throw new IOException("worker.jsonl is in the way");
        new File(directory, "cancel").delete();
        long started = System.nanoTime(), nextProgress = PROGRESS_MS, finishedAt = 0;
        boolean question = !command[0].equals("plan");
        worker = starter.start(directory, command);
        while (true) {
            pause(phase.equals("warmup") || phase.equals("steady") ? LOOK_MEASURING_MS : LOOK_MS);
            boolean alive = worker.alive();
            forward(question);
            long elapsedMs = (System.nanoTime() - started) / 1_000_000;
            if (finished && finishedAt == 0) finishedAt = elapsedMs;
            if (!alive) return finished ? code : died();
            if (finished) {
                // it has said all it had to say; it is not to hang on its way out
                if (elapsedMs - finishedAt > LEAVE_MS) end();
                continue;
            }
            ProcessFacts now = ProcessFacts.of(worker.pid());
            if (now.rssKb > 0) facts = now;
            if (cancelled || new File(directory, "cancel").exists()) return ended("cancelled", "cancelled");
            if (elapsedMs > limits.seconds * 1000)
                return ended("time_limit", "not done after " + limits.seconds + " s");
            if (facts.rssKb > limits.memoryKb)
                return ended("memory_limit", facts.rssKb / 1024 + " MiB of memory used, " + limits.memoryKb / 1024 + " allowed");
            if (!question && elapsedMs >= nextProgress) {
                nextProgress = elapsedMs + PROGRESS_MS;
                Samples samples = Samples.count(directory);
                say(new Line("progress").text("phase", phase).number("warmup_samples", samples.warmupCount)
                        .number("steady_samples", samples.steadyCount).number("rss_kb", facts.rssKb).toString());
            }
        }
    }

    private void forward(boolean question) throws IOException {
        for (String line : tail.lines()) {
            Map<String, Object> event = Line.read(line);
            if (event == null || finished) continue;
            String name = (String) event.get("event");
            finished = Line.isLast(name) || question && name.equals("hello");
            if (name.equals("error")) code = ErrorCode.exitCode(String.valueOf(event.get("code")));
            String next = Line.phaseAfter(name);
            if (next != null) phase = next;
            sink.line(line, event);
        }
    }

    private int died() {
        String death = worker.death();
        return report("worker_died", death.isEmpty() ? "the worker died" : "the worker died: " + death, worker.signal());
    }

    private int ended(String error, String message) throws IOException {
        end();
        forward(false);
        return finished ? code : report(error, message, 0);
    }

    private void end() {
        worker.kill();
        for (int i = 0; i < 100 && worker.alive(); i++) pause(LOOK_MS);
    }

    private int report(String error, String message, int signal) {
        // the worker could not say what it used; this is as of the last look
        say(facts.line().toString());
        Line line = new Line("error").text("code", error).text("phase", phase).text("message", message);
        if (signal != 0) line.number("signal", signal);
        say(line.toString());
        return ErrorCode.exitCode(error);
    }

    private void say(String line) {
        sink.line(line, Line.read(line));
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
