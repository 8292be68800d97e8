import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's command-line tools one after the other in one JVM, for scripts that ask many short questions: most of a tool's time
 * is the start of its JVM. Each line of the input is an order: a name, the tool's class and its arguments, with tabs between. Output
 * goes to DIR/NAME.out; then DIR/NAME.rc has the code that the tool ended with.
 *
 * Argument: DIR.
 */
public class Tools {
    /** Ended is thrown where a tool would have ended its process. Some tools catch it, so the first code is kept. */
    static class Ended extends Error {
    }

    static Integer code;

    static void end(int with) {
        code = code == null ? with : code;
        throw new Ended();
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        Exit.setExitProcedure((with, why) -> end(with));
        Exit.setHaltProcedure((with, why) -> end(with));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String[] order = line.split("\t");
            int rc = 0;
            try (PrintStream out = new PrintStream(new FileOutputStream(dir.resolve(order[0] + ".out").toFile()), true, StandardCharsets.UTF_8)) {
                System.setOut(out);
                System.setErr(out);
                rc = run(order, out);
            }
            Path done = dir.resolve(order[0] + ".tmp");
            Files.writeString(done, rc + "\n");
            Files.move(done, dir.resolve(order[0] + ".rc"), StandardCopyOption.ATOMIC_MOVE);
        }
    }

    static int run(String[] order, PrintStream out) {
        code = null;
        try {
            Class.forName(order[1]).getMethod("main", String[].class).invoke(null, (Object) Arrays.copyOfRange(order, 2, order.length));
            return code == null ? 0 : code;
        } catch (java.lang.reflect.InvocationTargetException e) {
            if (code == null) {
                e.getCause().printStackTrace(out);
            }
        } catch (ReflectiveOperationException e) {
            e.printStackTrace(out);
        }
        return code == null ? 1 : code;
    }
}
