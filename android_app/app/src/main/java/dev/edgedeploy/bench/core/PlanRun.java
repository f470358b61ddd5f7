package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.util.Map;

/** One run of the plan in a directory: alone in it, its lines kept in events.jsonl, what the phone says of its heat among them. */
public final class PlanRun {
    /** What the phone says of its heat, as a line. */
    public interface Heat {
        String line();
    }

    private final File directory;
    private final Supervisor.Sink listener;
    private final Heat heat;
    private final Supervisor supervisor;
    private OutputStream kept;
    private String lastHeat = "";

    /** heat: null where nothing tells. */
    public PlanRun(File directory, Worker.Starter starter, Supervisor.Sink listener, Heat heat) {
        this.directory = directory;
        this.listener = listener;
        this.heat = heat;
        supervisor = new Supervisor(directory, limits(), starter, new Supervisor.Sink() {
            @Override
            public void line(String line, Map<String, Object> event) {
                String name = event == null ? "" : String.valueOf(event.get("event"));
                // before and after what is timed, and while it is looked at anyway
                if (name.equals("hello") || name.equals("rusage") || name.equals("progress")) sayHeat();
                say(line, event);
            }
        });
    }

    /** The exit code of the protocol. Throws when the directory cannot be written. */
    public int toItsEnd() throws IOException {
        if (!directory.isDirectory()) return refused("plan_missing", "there is no such directory");
        RandomAccessFile file = new RandomAccessFile(new File(directory, "app.lock"), "rw");
        try {
            FileLock lock;
            try {
                lock = file.getChannel().tryLock();
            } catch (OverlappingFileLockException ours) {
                lock = null;
            }
            if (lock == null) return refused("busy", "a run is under way in this directory");
            kept = new FileOutputStream(new File(directory, "events.jsonl"));
            try {
                return supervisor.run(new String[] {"plan"});
            } finally {
                kept.close();
            }
        } finally {
            file.close();
        }
    }

    /** Ends it soon; from any thread. */
    public void cancel() {
        supervisor.cancel();
    }

    private Limits limits() {
        try {
            return Limits.of(Json.object(Confined.read(new File(directory, "plan.json"), Json.MAX_CHARS)));
        } catch (IOException missing) {
            return Limits.DEFAULT; // the worker says what is wrong with it
        } catch (Json.Bad bad) {
            return Limits.DEFAULT;
        }
    }

    /** Without a trace in the directory, which is somebody else's or not there. */
    private int refused(String code, String message) {
        String line = new Line("error").text("code", code).text("phase", "plan").text("message", message).toString();
        listener.line(line, Line.read(line));
        return ErrorCode.exitCode(code);
    }

    private void sayHeat() {
        String line = heat == null ? lastHeat : heat.line();
        if (line.equals(lastHeat)) return;
        lastHeat = line;
        say(line, Line.read(line));
    }

    private void say(String line, Map<String, Object> event) {
        try {
            kept.write((line + "\n").getBytes("UTF-8"));
        } catch (IOException full) {
            // the line still goes to whoever listens
        }
        listener.line(line, event);
    }
}
