package dev.edgedeploy.bench.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class ConfinedTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    @Test
    public void namesOfOurs() throws Exception {
        File root = folder.getRoot();
        for (String name : new String[] {"a", "runs/20260101-1.00/0", "plans/My_plan-2", "a/b/c/d"})
            assertEquals(new File(root, name), Confined.below(root, name));
    }

    @Test
    public void otherNames() {
        StringBuilder much = new StringBuilder("a");
        for (int i = 0; i < 100; i++) much.append('a');
        String[] bad = {
            null, "", "/", "/etc", "..", "../a", "a/..", "a/../b", ".", "./a", "a//b", "a/", ".hidden", "a/.b", "-e", "a b", "a\nb",
            "a\u0000b", "é", "a\\b", "a/b/c/d/e", "~", "$HOME", "a;b", much.toString(),
        };
        for (String name : bad) outside(folder.getRoot(), name);
    }

    @Test
    public void linksThatLeadElsewhere() throws Exception {
        File root = folder.newFolder("root"), other = folder.newFolder("other");
        Files.createSymbolicLink(new File(root, "out").toPath(), other.toPath());
        outside(root, "out");
        outside(root, "out/plan");
        // even to another place of ours: no link is needed
        new File(root, "a").mkdir();
        Files.createSymbolicLink(new File(root, "same").toPath(), new File(root, "a").toPath());
        outside(root, "same");
    }

    @Test
    public void aFileIsReadNoFurtherThanAllowed() throws Exception {
        File file = dev.edgedeploy.bench.core.Files.write(new File(folder.getRoot(), "f"), "12345");
        assertEquals("12345", Confined.read(file, 5));
        for (File bad : new File[] {file, folder.getRoot(), new File(folder.getRoot(), "absent")}) {
            try {
                Confined.read(bad, 4);
                fail(bad.getPath());
            } catch (IOException expected) {
                assertTrue(expected.getMessage().length() > 0);
            }
        }
    }

    @Test
    public void whatIsShownSteersNothing() {
        assertEquals("a?b?c?d", Confined.shown("a\u001bb\u202ec\nd", 50));
        assertEquals("12…", Confined.shown("12345", 3));
        assertEquals("null", Confined.shown(null, 10));
    }

    @Test
    public void plansAreListedAndNothingElse() throws Exception {
        File root = folder.getRoot();
        plan(root, "good", "{\"runtime\":\"onnx\"}");
        plan(root, "odd", "{\"runtime\":\"\\u001b[31m\\nx\"}");
        plan(root, "broken", "{");
        plan(root, "-rf", "{}");
        plan(root, ".hidden", "{}");
        new File(root, "plans/empty").mkdir();
        File elsewhere = folder.newFolder("elsewhere");
        dev.edgedeploy.bench.core.Files.write(new File(elsewhere, "plan.json"), "{}");
        Files.createSymbolicLink(new File(root, "plans/link").toPath(), elsewhere.toPath());
        List<Plans.Entry> found = Plans.list(root);
        assertEquals("[good (onnx), odd (?[31m?x)]", found.toString());
        assertEquals("plans/good", found.get(0).name);
        assertEquals(0, Plans.list(new File(root, "absent")).size());
    }

    @Test
    public void noMorePlansThanAScreenCanHold() throws Exception {
        for (int i = 0; i < 300; i++) plan(folder.getRoot(), "p" + i, "{}");
        assertEquals(200, Plans.list(folder.getRoot()).size());
    }

    private static void plan(File root, String name, String text) throws IOException {
        dev.edgedeploy.bench.core.Files.write(new File(root, "plans/" + name + "/plan.json"), text);
    }

    private static void outside(File root, String name) {
        try {
            Confined.below(root, name);
        } catch (Confined.Outside expected) {
            return;
        }
        fail(name);
    }
}
