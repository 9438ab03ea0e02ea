/** What is wrong with this Node, in one line, or nothing. */
export function nodeProblem(): string | undefined;
/** The `java` of JAVA_HOME, else the one on the PATH. */
export function javaCommand(): string;
/** What is wrong with the machine's Java, in one line, or nothing. */
export function javaProblem(): string | undefined;
/** What is wrong with the machine's Maven, in one line, or nothing. */
export function mavenProblem(): string | undefined;
