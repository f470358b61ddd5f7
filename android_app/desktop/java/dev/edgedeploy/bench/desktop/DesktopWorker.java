package dev.edgedeploy.bench.desktop;

import dev.edgedeploy.bench.core.Native;
import java.io.IOException;
import java.util.Arrays;

/** A worker as a JVM of its own: what the app's `:bench` process is on a phone. */
public final class DesktopWorker {
    private DesktopWorker() {}

    /** LIBRARY DIRECTORY LIB_DIR COMMAND... */
    public static void main(String[] arguments) {
        Thread parent = new Thread("parent") {
            @Override
            public void run() {
                try {
                    // nothing is ever written: it ends when whoever started us does
                    while (System.in.read() >= 0) continue;
                } catch (IOException gone) {
                    // as well
                }
                Runtime.getRuntime().halt(4);
            }
        };
        parent.setDaemon(true);
        parent.start();
        System.load(arguments[0]);
        String[] command = Arrays.copyOfRange(arguments, 3, arguments.length);
        // at once: a runtime's own clean-up may crash when all is done
        Runtime.getRuntime().halt(Native.run(arguments[1], command, arguments[2], arguments[2]));
    }
}
