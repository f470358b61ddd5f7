package dev.edgedeploy.bench.core;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** The plans that were pushed: `plans/NAME/plan.json` below the app's work directory. */
public final class Plans {
    private static final int MOST_SHOWN = 200;

    private Plans() {}

    /** One of them, with what is said of it on the screen. */
    public static final class Entry {
        public final String name;
        public final String shown;

        Entry(String name, String shown) {
            this.name = name;
            this.shown = shown;
        }

        @Override
        public String toString() {
            return shown;
        }
    }

    public static List<Entry> list(File root) {
        String[] names = new File(root, "plans").list();
        List<Entry> found = new ArrayList<Entry>();
        if (names == null) return found;
        Arrays.sort(names);
        for (String name : names) {
            if (found.size() == MOST_SHOWN) break;
            try {
                File directory = Confined.below(root, "plans/" + name);
                Map<String, Object> plan = Json.object(Confined.read(new File(directory, "plan.json"), Json.MAX_CHARS));
                found.add(new Entry("plans/" + name, Confined.shown(name, 60) + " (" + Confined.shown(plan.get("runtime"), 20) + ")"));
            } catch (Confined.Outside outside) {
                continue;
            } catch (IOException unreadable) {
                continue;
            } catch (Json.Bad bad) {
                continue;
            }
        }
        return found;
    }
}
