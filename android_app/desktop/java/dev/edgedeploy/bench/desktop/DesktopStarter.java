package dev.edgedeploy.bench.desktop;

import dev.edgedeploy.bench.core.Worker;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Workers as processes of this JVM's own program. */
final class DesktopStarter implements Worker.Starter {
    private final String library;
    private final String libDir;

    DesktopStarter(String library, String libDir) {
        this.library = library;
        this.libDir = libDir;
    }

    @Override
    public Worker start(File directory, String[] command) throws IOException {
        String java = new File(System.getProperty("java.home"), "bin/java").getPath();
        List<String> words = new ArrayList<>(Arrays.asList(
                java, "-Xshare:auto", "-XX:+UseSerialGC", "-Xmx64m", "-Xrs", "-XX:-CreateCoredumpOnCrash",
                "-XX:ErrorFile=" + new File(directory, "jvm.txt"), "-cp", System.getProperty("java.class.path"),
                DesktopWorker.class.getName(), library, directory.getPath(), libDir));
        words.addAll(Arrays.asList(command));
        ProcessBuilder builder = new ProcessBuilder(words);
        // what the worker prints goes to stderr.txt; what the JVM itself says before and after, to ours
        builder.redirectOutput(ProcessBuilder.Redirect.INHERIT).redirectError(ProcessBuilder.Redirect.INHERIT);
        return new Started(builder.start());
    }

    private static final class Started implements Worker {
        private final Process process;

        Started(Process process) {
            this.process = process;
        }

        @Override
        public long pid() {
            try {
                return (Long) Process.class.getMethod("pid").invoke(process);
            } catch (ReflectiveOperationException older) {
                return 0;
            }
        }

        @Override
        public boolean alive() {
            return process.isAlive();
        }

        @Override
        public String death() {
            if (alive()) return "";
            return signal() != 0 ? "signal " + signal() : "it left with code " + process.exitValue() + " before it was done";
        }

        @Override
        public int signal() {
            // a signal N that ended it is 128 + N
            return !alive() && process.exitValue() > 128 ? process.exitValue() - 128 : 0;
        }

        @Override
        public void kill() {
            process.destroyForcibly();
        }
    }
}
