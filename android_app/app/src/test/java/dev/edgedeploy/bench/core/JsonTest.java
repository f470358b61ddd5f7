package dev.edgedeploy.bench.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.fail;

import java.util.Arrays;
import java.util.Map;
import org.junit.Test;

public final class JsonTest {
    @Test
    public void valuesAreWhatTheyAre() throws Exception {
        Map<String, Object> read = Json.object(" {\"a\": [1, -2.5e1, true, false, null, \"\\u00e9\\n\\/\"], \"b\": {}} ");
        assertEquals(Arrays.<Object>asList(1L, -25.0, true, false, null, "é\n/"), read.get("a"));
        assertEquals(0, ((Map<?, ?>) read.get("b")).size());
        assertEquals(999999999999999999L, Json.parse("999999999999999999"));
        assertEquals(1e21, Json.parse("1000000000000000000000"));
    }

    @Test
    public void whatIsNotJsonIsRefused() {
        String[] bad = {
            "", " ", "{", "[", "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "01", "1.", ".5", "+1", "--1", "1e999", "NaN", "tru", "nul",
            "'a'", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\u0001\"", "1 2", "{} x", "{\"a\":1,\"a\":2}", "[1 2]", "\"a\nb\"", "-", "]",
        };
        for (String text : bad) refused(text);
    }

    @Test
    public void bounds() {
        StringBuilder deep = new StringBuilder();
        for (int i = 0; i < 100_000; i++) deep.append('[');
        refused(deep.toString());
        char[] large = new char[Json.MAX_CHARS + 1];
        Arrays.fill(large, ' ');
        refused(new String(large));
    }

    @Test
    public void quotedTextIsAsciiAndComesBack() throws Exception {
        String text = "a\"\\\u0000\n\u001b[31m\u009b\u2028é😀";
        String quoted = Json.quote(text);
        assertEquals(text, Json.parse(quoted));
        for (char c : quoted.toCharArray()) assertEquals(true, c >= 0x20 && c < 0x7F);
    }

    @Test
    public void linesThatAreNoEvents() {
        for (String line : new String[] {"", "[]", "{}", "{\"event\":1}", "{\"event\":\"a\"", "null"}) assertNull(line, Line.read(line));
        assertEquals("a", Line.read("{\"event\":\"a\"}").get("event"));
    }

    @Test
    public void aLineIsJson() throws Exception {
        String line = new Line("error").text("message", "\"\n").number("signal", 9).text("none", null).toString();
        Map<String, Object> read = Json.object(line);
        assertEquals("\"\n", read.get("message"));
        assertEquals(9L, read.get("signal"));
        assertNull(read.get("none"));
    }

    private static void refused(String text) {
        try {
            Json.parse(text);
        } catch (Json.Bad bad) {
            return;
        }
        fail(text.length() > 50 ? "a long one" : text);
    }
}
