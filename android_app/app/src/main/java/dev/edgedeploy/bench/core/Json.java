package dev.edgedeploy.bench.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON, read strictly and within bounds: it comes from a plan, which anybody may have written. */
public final class Json {
    /** As the runner has it. */
    public static final int MAX_CHARS = 4 << 20;

    private static final int MAX_DEPTH = 32;

    /** What is not JSON, or too much of it. */
    public static final class Bad extends Exception {
        Bad(String message) {
            super(message);
        }
    }

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** A Map, List, String, Long, Double, Boolean, or null. Whole numbers that fit are Long. */
    public static Object parse(String text) throws Bad {
        if (text.length() > MAX_CHARS) throw new Bad("too large");
        Json json = new Json(text);
        Object value = json.value(0);
        json.space();
        if (json.at != text.length()) throw new Bad("something follows the value at " + json.at);
        return value;
    }

    /** The same for what must be an object. */
    @SuppressWarnings("unchecked")
    public static Map<String, Object> object(String text) throws Bad {
        Object value = parse(text);
        if (!(value instanceof Map)) throw new Bad("not an object");
        return (Map<String, Object>) value;
    }

    /** A string as a JSON literal, in ASCII. */
    public static String quote(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c >= 0x20 && c < 0x7F) out.append(c);
            else out.append(hex(c));
        }
        return out.append('"').toString();
    }

    private static String hex(char c) {
        String digits = Integer.toHexString(c);
        return "\\u" + "0000".substring(digits.length()) + digits;
    }

    private Object value(int depth) throws Bad {
        if (depth > MAX_DEPTH) throw new Bad("too deep");
        space();
        char c = peek();
        if (c == '{') return members(depth);
        if (c == '[') return elements(depth);
        if (c == '"') return string();
        if (c == 't') return word("true", Boolean.TRUE);
        if (c == 'f') return word("false", Boolean.FALSE);
        if (c == 'n') return word("null", null);
        return number();
    }

    private Map<String, Object> members(int depth) throws Bad {
        Map<String, Object> found = new LinkedHashMap<String, Object>();
        at++;
        space();
        if (peek() == '}') {
            at++;
            return found;
        }
        while (true) {
            space();
            if (peek() != '"') throw new Bad("no key at " + at);
            String key = string();
            space();
            expect(':');
            if (found.containsKey(key)) throw new Bad("a key twice at " + at);
            found.put(key, value(depth + 1));
            space();
            if (peek() == '}') break;
            expect(',');
        }
        at++;
        return found;
    }

    private List<Object> elements(int depth) throws Bad {
        List<Object> found = new ArrayList<Object>();
        at++;
        space();
        if (peek() == ']') {
            at++;
            return found;
        }
        while (true) {
            found.add(value(depth + 1));
            space();
            if (peek() == ']') break;
            expect(',');
        }
        at++;
        return found;
    }

    private String string() throws Bad {
        StringBuilder out = new StringBuilder();
        at++;
        while (true) {
            char c = next();
            if (c == '"') return out.toString();
            if (c < 0x20) throw new Bad("a control character in a string at " + at);
            out.append(c == '\\' ? escaped() : c);
        }
    }

    private char escaped() throws Bad {
        char c = next();
        switch (c) {
            case '"':
            case '\\':
            case '/':
                return c;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    int digit = Character.digit(next(), 16);
                    if (digit < 0) throw new Bad("not hexadecimal at " + at);
                    code = code * 16 + digit;
                }
                return (char) code;
            default:
                throw new Bad("an unknown escape at " + at);
        }
    }

    private Object number() throws Bad {
        int start = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) at++;
        String digits = text.substring(start, at);
        if (!digits.matches("-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?")) throw new Bad("no value at " + start);
        if (digits.matches("-?[0-9]{1,18}")) return Long.valueOf(digits);
        double value = Double.parseDouble(digits);
        if (Double.isInfinite(value)) throw new Bad("a number that is too large at " + start);
        return value;
    }

    private Object word(String word, Object value) throws Bad {
        if (!text.startsWith(word, at)) throw new Bad("no value at " + at);
        at += word.length();
        return value;
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
    }

    private char peek() throws Bad {
        if (at >= text.length()) throw new Bad("it ends too soon");
        return text.charAt(at);
    }

    private char next() throws Bad {
        char c = peek();
        at++;
        return c;
    }

    private void expect(char wanted) throws Bad {
        if (next() != wanted) throw new Bad("no " + wanted + " at " + (at - 1));
    }
}
