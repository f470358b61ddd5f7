package dev.edgedeploy.bench.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** What is seen of a worker from outside. The worker here is a thread that writes the lines of a script. */
public final class SupervisorTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static final String HELLO = "{\"event\":\"hello\"}", END = "{\"event\":\"end\"}";

    private final List<String> said = new ArrayList<String>();
    private final Supervisor.Sink sink = new Supervisor.Sink() {
        @Override
        public void line(String line, Map<String, Object> event) {
            said.add(line);
        }
    };

    /** Writes what it is told; then lives on, or is dead. */
    private static final class Scripted implements Worker, Worker.Starter {
        private final String text;
        private final boolean lives;
        private final int signal;
        volatile boolean killed;

        Scripted(String text, boolean lives, int signal) {
            this.text = text;
            this.lives = lives;
            this.signal = signal;
        }

        @Override
        public Worker start(File directory, String[] command) throws IOException {
            OutputStream out = new FileOutputStream(new File(directory, "worker.jsonl"));
            out.write(text.getBytes("UTF-8"));
            out.close();
            return this;
        }

        @Override
        public long pid() {
            return 0;
        }

        @Override
        public boolean alive() {
            return lives && !killed;
        }

        @Override
        public String death() {
            return signal == 0 ? "" : "signal " + signal;
        }

        @Override
        public int signal() {
            return signal;
        }

        @Override
        public void kill() {
            killed = true;
        }
    }

    private int run(Scripted worker) throws IOException {
        return new PlanRun(folder.getRoot(), worker, sink, null).toItsEnd();
    }

    private void plan(String text) throws IOException {
        Files.write(new File(folder.getRoot(), "plan.json"), text);
    }

    private String last() {
        return said.get(said.size() - 1);
    }

    @Test
    public void linesAreForwardedAndKept() throws Exception {
        assertEquals(0, run(new Scripted(HELLO + "\n" + END + "\n", false, 0)));
        assertEquals("[" + HELLO + ", " + END + "]", said.toString());
        assertEquals(HELLO + "\n" + END + "\n", Confined.read(new File(folder.getRoot(), "events.jsonl"), 1000));
    }

    @Test
    public void whatIsNoEventOrComesAfterTheLastIsDropped() throws Exception {
        run(new Scripted("rubbish\n[]\n\n" + HELLO + "\n{\"event\":\n" + END + "\n" + HELLO + "\n", false, 0));
        assertEquals("[" + HELLO + ", " + END + "]", said.toString());
    }

    @Test
    public void anErrorIsItsExitCode() throws Exception {
        assertEquals(2, run(new Scripted("{\"event\":\"error\",\"code\":\"plan_invalid\"}\n", false, 0)));
        said.clear();
        assertEquals(1, run(new Scripted("{\"event\":\"error\",\"code\":\"of tomorrow\"}\n", false, 0)));
        assertEquals(1, said.size());
    }

    @Test
    public void aDeathIsReportedWithItsPhase() throws Exception {
        String lines = HELLO + "\n{\"event\":\"load\"}\n{\"event\":\"adapters\"}\n{\"event\":\"first\"}\n{\"event\":\"cut";
        assertEquals(4, run(new Scripted(lines, false, 11)));
        assertEquals(
                "{\"event\":\"error\",\"code\":\"worker_died\",\"phase\":\"warmup\",\"message\":\"the worker died: signal 11\","
                        + "\"signal\":11}",
                last());
        assertTrue(said.get(said.size() - 2).startsWith("{\"event\":\"rusage\""));
    }

    @Test
    public void aWorkerThatHangsOnItsWayOutIsEnded() throws Exception {
        Scripted worker = new Scripted(HELLO + "\n" + END + "\n", true, 0);
        assertEquals(0, run(worker));
        assertTrue(worker.killed);
        assertEquals(END, last());
    }

    @Test
    public void limitsOfThePlan() throws Exception {
        plan("{\"max_seconds\":0.2}");
        Scripted worker = new Scripted(HELLO + "\n", true, 0);
        assertEquals(5, run(worker));
        assertTrue(worker.killed);
        assertTrue(last(), last().contains("\"time_limit\",\"phase\":\"load\""));
    }

    @Test
    public void limitsThatNoPlanMayAskFor() throws Exception {
        for (String asked : new String[] {"-1", "0", "1e300", "\"x\"", "null", "99999999"}) {
            Limits found = Limits.of(Json.object("{\"max_seconds\":" + asked + ",\"max_memory_mb\":" + asked + "}"));
            assertEquals(asked, 120, found.seconds, 0);
            assertEquals(asked, 4096 * 1024, found.memoryKb);
        }
        Limits found = Limits.of(Json.object("{\"max_seconds\":1.5,\"max_memory_mb\":64}"));
        assertEquals(1.5, found.seconds, 0);
        assertEquals(65536, found.memoryKb);
    }

    @Test
    public void cancelledByAFile() throws Exception {
        Scripted worker = new Scripted(HELLO + "\n", true, 0);
        final File cancel = new File(folder.getRoot(), "cancel");
        new Thread() {
            @Override
            public void run() {
                try {
                    Thread.sleep(100);
                    Files.write(cancel, "");
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            }
        }.start();
        assertEquals(6, run(worker));
        assertTrue(worker.killed);
        // of the run before, it would end the next
        said.clear();
        assertEquals(0, run(new Scripted(END + "\n", false, 0)));
    }

    @Test
    public void progressAndHeat() throws Exception {
        plan("{\"max_seconds\":2.5}");
        final int[] asked = {0};
        PlanRun run = new PlanRun(folder.getRoot(), new Scripted(HELLO + "\n", true, 0), sink, new PlanRun.Heat() {
            @Override
            public String line() {
                return "{\"event\":\"thermal\",\"status\":" + (asked[0]++ == 0 ? 0 : 1) + "}";
            }
        });
        assertEquals(5, run.toItsEnd());
        List<String> names = new ArrayList<String>();
        for (String line : said) names.add((String) Line.read(line).get("event"));
        // once before what is timed, again only when it changed
        assertEquals("[thermal, hello, thermal, progress, progress, rusage, error]", names.toString());
        assertTrue(asked[0] >= 4);
    }

    @Test
    public void aDirectoryThatIsNotThere() throws Exception {
        File absent = new File(folder.getRoot(), "absent");
        assertEquals(2, new PlanRun(absent, new Scripted("", false, 0), sink, null).toItsEnd());
        assertTrue(last().contains("plan_missing"));
        assertFalse(absent.exists());
    }

    @Test
    public void oneAtATime() throws Exception {
        final PlanRun[] second = new PlanRun[1];
        final List<Integer> codes = new ArrayList<Integer>();
        Supervisor.Sink meanwhile = new Supervisor.Sink() {
            @Override
            public void line(String line, Map<String, Object> event) {
                if (!event.get("event").equals("hello")) return;
                try {
                    codes.add(second[0].toItsEnd());
                } catch (IOException error) {
                    throw new IllegalStateException(error);
                }
            }
        };
        second[0] = new PlanRun(folder.getRoot(), new Scripted(END + "\n", false, 0), sink, null);
        new PlanRun(folder.getRoot(), new Scripted(HELLO + "\n" + END + "\n", false, 0), meanwhile, null).toItsEnd();
        assertEquals("[2]", codes.toString());
        assertTrue(last().contains("busy"));
    }

    @Test
    public void theRecordOfTheScreen() throws Exception {
        Record record = new Record();
        for (String line : new String[] {HELLO, "{\"event\":\"progress\"}", END}) record.line(line, Line.read(line));
        record.line("rubbish", null);
        String json = record.json("plans/a\"b", new Summary(new long[] {1, 2, 3}), "model", "X\n");
        Map<String, Object> read = Json.object(json);
        assertEquals("plans/a\"b", read.get("plan"));
        assertEquals("{model=X\n}", read.get("device").toString());
        assertEquals("[{event=hello}, {event=end}]", read.get("events").toString());
        assertEquals(2.0, ((Map<?, ?>) read.get("summary")).get("median_ns"));
        assertEquals(false, read.get("events_left_out"));
        StringBuilder padding = new StringBuilder();
        for (int i = 0; i < 1000; i++) padding.append('x');
        for (int i = 0; i < 1000; i++) {
            String line = new Line("output").text("name", padding.toString()).toString();
            record.line(line, Line.read(line));
        }
        json = record.json("p", new Summary(new long[0]));
        assertTrue(json.length() < 250_000);
        assertEquals(true, Json.object(json).get("events_left_out"));
    }
}
